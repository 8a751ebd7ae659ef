import DequeModule
import FunctionKit
import Logging
import NIOCore

/// A queue of commands in front of one link.
///
/// Commands wait in `waiting` until the link is ready and its socket takes more; those of one tick of the loop are then
/// written at once, in order, and move to `inFlight`, where the replies find them first in, first out. What has been
/// written is never written again, so a lost connection fails `inFlight` and leaves `waiting` alone. A caller that
/// leaves early leaves its request behind as a marker of the reply that is still to come.
///
/// Deadlines cost no timer of their own: one timer sweeps over both queues at the earliest deadline. It also notices a
/// connection that has given no reply at all for as long as its oldest command may take, and at least the configured
/// command timeout, and drops it.
final class RedisConnection: @unchecked Sendable {
    // @unchecked: every property that changes is touched on `eventLoop` only.

    /// Deadlines that are so close together share a sweep.
    private static let sweepGranularity = TimeAmount.milliseconds(10)
    /// So much is written before the socket is asked again whether it takes more.
    private static let writeBytes = 256 << 10

    let eventLoop: any EventLoop
    private let link: RedisLink
    private let maximumCount: Int
    /// A connection without a reply for so long is dead. The deadline of a hasty caller is no sign of that.
    private let patience: TimeAmount
    /// Whether the connection belongs to one caller, whose command the server must not go on with once it has left.
    private let isExclusive: Bool
    private var busyPoll: BusyPoll

    private var waiting: Deque<RedisRequest> = []
    private var inFlight: Deque<RedisRequest> = []
    private var cancelledCount = 0
    private var isFlushScheduled = false
    private var buffer = ByteBuffer()
    private var scripts = ScriptTable()
    private var lastReplyAt = NIODeadline.uptimeNanoseconds(0)
    private var sweepAt: NIODeadline?
    private var sweepTimer: Scheduled<Void>?
    private var closers: [CheckedContinuation<Void, Never>] = []
    private var closeTimer: Scheduled<Void>?
    private var isClosing = false
    private var isClosed = false

    init(
        _ transport: RedisTransport, name: String?, isExclusive: Bool, eventLoop: any EventLoop, logger: Logger
    ) {
        self.eventLoop = eventLoop
        self.isExclusive = isExclusive
        patience = TimeAmount(transport.configuration.commandTimeout)
        busyPoll = BusyPoll(limit: isExclusive ? .zero : TimeAmount(transport.configuration.busyPoll))
        maximumCount = transport.configuration.maximumQueuedCommandCount
        link = RedisLink(transport, name: name, eventLoop: eventLoop, logger: logger)
        link.user = self
    }

    func send(_ command: RedisCommand, timeout: TimeAmount) async throws(RedisError) -> RESPValue {
        let request = RedisRequest(.one(command), timeout: timeout)
        return try await reply(to: request, isolation: #isolation) { .one($0) }.get()
    }

    func pipeline(_ commands: [RedisCommand], timeout: TimeAmount) async throws(RedisError) -> [RESPValue] {
        guard !commands.isEmpty else { return [] }
        let request = RedisRequest(.many(commands), timeout: timeout)
        return try await reply(to: request, isolation: #isolation) { .many($0) }.get()
    }

    /// Waits on the caller's own executor: the operation of `withTaskCancellationHandler` runs on Swift's global pool
    /// unless it captures an isolation, and a caller on an event loop must not depend on that pool.
    private func reply<Reply: Sendable>(
        to request: RedisRequest, isolation: isolated (any Actor)?,
        _ waiter: (CheckedContinuation<Result<Reply, RedisError>, Never>) -> RedisRequest.Waiter
    ) async -> Result<Reply, RedisError> {
        await withTaskCancellationHandler {
            _ = isolation
            return await withCheckedContinuation { continuation in
                let waiter = waiter(continuation)
                eventLoop.run { self.enqueue(request, waiter) }
            }
        } onCancel: {
            eventLoop.run { self.cancel(request) }
        }
    }

    /// Ends all waiting calls now, and with them the connection if one of them was sent.
    func interrupt() {
        eventLoop.run { self.interruptOnLoop() }
    }

    /// Fails every call from now on; for a connection that was made too late.
    func refuseCalls() {
        eventLoop.run { self.isClosing = true }
    }

    /// Takes no more commands, waits for those it has up to a bound, and closes.
    func close(within bound: TimeAmount) async {
        await withCheckedContinuation { continuation in
            eventLoop.run { self.beginClose(continuation, within: bound) }
        }
    }

    private func enqueue(_ request: RedisRequest, _ waiter: RedisRequest.Waiter) {
        guard request.begin(waiter) else { return }
        guard !isClosing else { return request.fail(RedisError(.closed, "the Redis client is closed")) }
        guard waiting.count + inFlight.count < maximumCount else {
            return request.fail(RedisError(.overloaded, "\(maximumCount) commands wait already"))
        }
        waiting.append(request)
        arm(request.deadline)
        scheduleFlush()
    }

    private func cancel(_ request: RedisRequest) {
        let wasQueued = !request.isDone
        request.cancel("the call was cancelled")
        guard wasQueued else { return }
        if isExclusive, inFlight.contains(where: { $0 === request }) {
            return link.abandon(RedisError(.connection, "the connection was closed to end a cancelled command"))
        }
        // Many that leave while nothing can be sent must not keep others out.
        cancelledCount += 1
        if cancelledCount * 2 > waiting.count { removeDone() }
        finishCloseIfIdle()
    }

    private func removeDone() {
        waiting.removeAll { $0.isDone }
        cancelledCount = 0
    }

    private func interruptOnLoop() {
        let wasSent = inFlight.contains { !$0.isDone }
        for request in waiting { request.cancel("the call was interrupted") }
        for request in inFlight { request.cancel("the call was interrupted") }
        removeDone()
        if wasSent { link.abandon(RedisError(.cancelled, "the call was interrupted")) }
        finishCloseIfIdle()
    }
}

// Writing.
extension RedisConnection {
    /// Once per tick of the loop, so that commands of the same tick share a system call.
    private func scheduleFlush() {
        guard !isFlushScheduled else { return }
        isFlushScheduled = true
        eventLoop.execute {
            self.isFlushScheduled = false
            self.flush()
        }
    }

    private func flush() {
        guard link.isReady else {
            if wantsConnection { link.connectIfNeeded() }
            return
        }
        let now = NIODeadline.now()
        while link.isWritable, !waiting.isEmpty {
            buffer.clear(minimumCapacity: 1024)
            while buffer.readableBytes < Self.writeBytes, let request = waiting.popFirst() {
                guard !request.isDone else { continue }
                request.encode(into: &buffer, scripts: &scripts)
                request.sentAt = now
                inFlight.append(request)
            }
            if buffer.readableBytes > 0 { link.write(buffer) }
            // A large buffer is not worth keeping.
            if buffer.capacity > Self.writeBytes { buffer = ByteBuffer() }
        }
        if waiting.isEmpty { cancelledCount = 0 }
        if inFlight.count == 1, waiting.isEmpty { link.look(&busyPoll) }
    }
}

// Deadlines.
extension RedisConnection {
    private func arm(_ deadline: NIODeadline) {
        if let sweepAt, sweepAt <= deadline { return }
        let time = max(deadline, .now() + Self.sweepGranularity)
        if let sweepAt, sweepAt <= time { return }
        sweepTimer?.cancel()
        sweepAt = time
        sweepTimer = eventLoop.scheduleTask(deadline: time) { [weak self] in self?.sweep() }
    }

    private func sweep() {
        sweepAt = nil
        let now = NIODeadline.now()
        var next: NIODeadline?
        func expire(_ requests: Deque<RedisRequest>, _ error: (RedisRequest) -> RedisError) -> Bool {
            var hasExpired = false
            for request in requests where !request.isDone {
                if request.deadline <= now {
                    request.fail(error(request))
                    hasExpired = true
                } else {
                    next = min(next ?? request.deadline, request.deadline)
                }
            }
            return hasExpired
        }
        if expire(waiting, unsent) { removeDone() }
        let hasExpired = expire(inFlight) {
            RedisError(.timeout, "no reply within \($0.timeout.nanoseconds / 1_000_000) ms")
        }
        let silence = RedisError(.timeout, "the server has stopped answering")
        if isExclusive, hasExpired {
            link.abandon(silence)
        } else if let oldest = inFlight.first {
            let stallsAt = stallTime(oldest)
            if stallsAt <= now { link.drop(silence) } else { next = min(next ?? stallsAt, stallsAt) }
        }
        if let next { arm(next) }
        finishCloseIfIdle()
    }

    private func stallTime(_ oldest: RedisRequest) -> NIODeadline {
        let quietSince = max(oldest.sentAt, lastReplyAt)
        guard oldest.timeout >= patience else { return quietSince + patience }
        // Sent a moment after its time had begun; were the rest waited for, a command that follows its failure would
        // still be sent here.
        return max(oldest.deadline, quietSince + .nanoseconds(oldest.timeout.nanoseconds / 8 * 7))
    }

    private func unsent(_ request: RedisRequest) -> RedisError {
        let limit = request.timeout.nanoseconds / 1_000_000
        return link.isReady
            ? RedisError(.timeout, "the connection took no more commands for \(limit) ms")
            : RedisError(.connection, "no connection to \(link.endpoint) within \(limit) ms", cause: link.lastError)
    }
}

// Closing.
extension RedisConnection {
    private func beginClose(_ continuation: CheckedContinuation<Void, Never>, within bound: TimeAmount) {
        guard !isClosed else { return continuation.resume() }
        closers.append(continuation)
        guard closeTimer == nil else { return }
        isClosing = true
        closeTimer = eventLoop.scheduleTask(in: bound) { self.finishClose() }
        finishCloseIfIdle()
    }

    private func finishCloseIfIdle() {
        if isClosing, !waiting.contains(where: { !$0.isDone }), !inFlight.contains(where: { !$0.isDone }) {
            finishClose()
        }
    }

    private func finishClose() {
        guard !isClosed else { return }
        isClosed = true
        closeTimer?.cancel()
        sweepTimer?.cancel()
        let error = RedisError(.closed, "the Redis client is closed")
        for request in waiting { request.fail(error) }
        for request in inFlight { request.fail(error) }
        waiting.removeAll()
        inFlight.removeAll()
        let closers = closers
        self.closers = []
        link.close().whenComplete { _ in
            for closer in closers { closer.resume() }
        }
    }
}

extension RedisConnection: RedisLinkUser {
    var wantsConnection: Bool { !isClosed && waiting.contains { !$0.isDone } }

    func linkIsReady() { flush() }

    func linkIsWritable() { flush() }

    func linkReceived(_ reply: RESPValue) {
        lastReplyAt = .now()
        guard let request = inFlight.first else {
            return link.drop(RedisError(.protocolViolation, "a reply came to no command"))
        }
        switch request.receive(reply) {
        case .waiting: break
        case .finished:
            inFlight.removeFirst()
            if isClosing { finishCloseIfIdle() }
        case .resend:
            inFlight.removeFirst()
            waiting.append(request)
            scheduleFlush()
        }
    }

    func linkWasLost(_ error: RedisError) {
        scripts.forget()
        let lost = inFlight
        inFlight.removeAll()
        for request in lost { request.fail(error) }
        finishCloseIfIdle()
    }

    func linkWasRefused(_ error: RedisError) {
        for request in waiting { request.fail(error) }
        removeDone()
        finishCloseIfIdle()
    }
}
