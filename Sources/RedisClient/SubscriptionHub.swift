import DequeModule
import FunctionKit
import Logging
import NIOCore

/// All subscriptions of the process on one connection: one SUBSCRIBE per channel, whatever the number of readers.
///
/// Replies other than messages come in the order of the commands, and each command names one channel; so `expected`
/// tells which channel an error belongs to, and a confirmation counts for the SUBSCRIBE that it answers: a channel that
/// was left and entered again is confirmed only when all of its SUBSCRIBEs are.
///
/// The server sends each message at most once, and a reader that waits cannot tell a silent channel from a lost message
/// or a lost server. So every channel has its turn once in `subscriptionSilence`: one that has been silent since its last
/// turn, or has no connection for a while, gets a gap. The turns are spread evenly, for whoever sees a gap asks the server.
final class SubscriptionHub: @unchecked Sendable {
    // @unchecked: every property that changes is touched on `eventLoop` only.

    private enum Expected: Equatable {
        case subscribe(String)
        case unsubscribe(String)
        case pong
    }

    private struct Waiter {
        let continuation: CheckedContinuation<Result<Void, RedisError>, Never>
        let timeout: Scheduled<Void>
    }

    private struct Reader {
        let buffer: SubscriptionBuffer
        /// Set until the first confirmation.
        var waiter: Waiter?
    }

    private struct Channel {
        var readers: [ObjectIdentifier: Reader] = [:]
        var unconfirmedCount = 0
        /// In which of the ``turnCount`` ticks of a round it has its turn.
        let turn: Int
        var isSilent = false
    }

    private static let turnCount = 60
    /// A connection that is away no longer is made anew without much ado.
    private static let patientTicks = 5

    private let eventLoop: any EventLoop
    private let link: RedisLink
    private let configuration: RedisConfiguration
    private var channels: [String: Channel] = [:]
    private var readerCount = 0
    private var expected: Deque<Expected> = []
    private var outgoing = ByteBuffer()
    private var heartbeat: RepeatedTask?
    private var ticking: RepeatedTask?
    private var tick = 0
    private var nextTurn = 0
    private var ticksWithoutLink = 0
    private var isAlive = true
    private var isClosed = false

    init(_ transport: RedisTransport, eventLoop: any EventLoop, logger: Logger) {
        self.eventLoop = eventLoop
        configuration = transport.configuration
        link = RedisLink(transport, name: nil, eventLoop: eventLoop, logger: logger)
        link.user = self
    }

    /// Subscribes; returns when the server has confirmed it.
    func subscribe(_ channel: String, timeout: TimeAmount) async throws(RedisError) -> RedisSubscription {
        let buffer = SubscriptionBuffer(limit: configuration.subscriptionBufferCount)
        try await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                eventLoop.run { self.add(buffer, to: channel, continuation, timeout: timeout) }
            }
        } onCancel: {
            buffer.finish(discarding: true)
            eventLoop.run {
                self.leave(
                    buffer, channel, RedisError(.cancelled, "the call was cancelled", cause: CancellationError()))
            }
        }.get()
        return RedisSubscription(channel, buffer, self)
    }

    /// Ends one subscription.
    func remove(_ buffer: SubscriptionBuffer, from channel: String) {
        eventLoop.run { self.leave(buffer, channel, RedisError(.cancelled, "the subscription was cancelled")) }
    }

    /// Ends all subscriptions and closes the connection.
    func close() async {
        await withCheckedContinuation { continuation in
            eventLoop.run { self.closeOnLoop().whenComplete { _ in continuation.resume() } }
        }
    }

    private func add(
        _ buffer: SubscriptionBuffer, to name: String,
        _ continuation: CheckedContinuation<Result<Void, RedisError>, Never>, timeout: TimeAmount
    ) {
        guard !isClosed else {
            return continuation.resume(returning: .failure(RedisError(.closed, "the Redis client is closed")))
        }
        guard !buffer.isFinished else {
            let error = RedisError(.cancelled, "the call was cancelled", cause: CancellationError())
            return continuation.resume(returning: .failure(error))
        }
        guard readerCount < configuration.maximumSubscriptionCount else {
            let error = RedisError(.overloaded, "\(configuration.maximumSubscriptionCount) subscriptions exist already")
            return continuation.resume(returning: .failure(error))
        }
        var channel = channels[name] ?? makeChannel()
        let isFirst = channel.readers.isEmpty
        let isConfirmed = link.isReady && !isFirst && channel.unconfirmedCount == 0
        var reader = Reader(buffer: buffer)
        if isConfirmed {
            continuation.resume(returning: .success(()))
        } else {
            let scheduled = eventLoop.scheduleTask(in: timeout) { [weak self, weak buffer] in
                guard let self, let buffer else { return }
                leave(buffer, name, lateness())
            }
            reader.waiter = Waiter(continuation: continuation, timeout: scheduled)
        }
        channel.readers[ObjectIdentifier(buffer)] = reader
        readerCount += 1
        if isFirst, link.isReady {
            channel.unconfirmedCount += 1
            send("SUBSCRIBE", name, .subscribe(name))
        }
        channels[name] = channel
        flush()
        link.connectIfNeeded()
        startTicking()
    }

    private func makeChannel() -> Channel {
        nextTurn = (nextTurn + 1) % Self.turnCount
        return Channel(turn: nextTurn)
    }

    private func lateness() -> RedisError {
        link.isReady
            ? RedisError(.timeout, "the server has not confirmed the subscription")
            : RedisError(.connection, "no connection to \(link.endpoint) in time", cause: link.lastError)
    }

    private func leave(_ buffer: SubscriptionBuffer, _ name: String, _ error: RedisError) {
        guard let reader = channels[name]?.readers.removeValue(forKey: ObjectIdentifier(buffer)) else { return }
        readerCount -= 1
        settle(reader, .failure(error))
        guard let channel = channels[name], channel.readers.isEmpty else { return }
        if link.isReady {
            send("UNSUBSCRIBE", name, .unsubscribe(name))
            flush()
        }
        if channel.unconfirmedCount == 0 { channels[name] = nil }
    }

    private func settle(_ reader: Reader, _ result: Result<Void, RedisError>) {
        guard let waiter = reader.waiter else { return }
        waiter.timeout.cancel()
        waiter.continuation.resume(returning: result)
    }

    /// Ends every reader of a channel that the server refuses.
    private func end(_ name: String, _ error: RedisError) {
        guard let readers = channels[name]?.readers else { return }
        channels[name]?.readers = [:]
        if channels[name]?.unconfirmedCount == 0 { channels[name] = nil }
        readerCount -= readers.count
        for reader in readers.values {
            reader.buffer.finish(discarding: false)
            settle(reader, .failure(error))
        }
    }

    private func closeOnLoop() -> EventLoopFuture<Void> {
        isClosed = true
        stopHeartbeat()
        stopTicking()
        for name in channels.keys { end(name, RedisError(.closed, "the Redis client is closed")) }
        channels = [:]
        return link.close()
    }

    private func send(_ command: String, _ channel: String?, _ expectation: Expected) {
        var scripts = ScriptTable()
        outgoing.writeRedisCommand(RedisCommand(channel.map { [command, $0] } ?? [command]), scripts: &scripts)
        expected.append(expectation)
    }

    private func flush() {
        guard outgoing.readableBytes > 0 else { return }
        link.write(outgoing)
        outgoing = ByteBuffer()
    }

    private func startHeartbeat() {
        let interval = max(TimeAmount(configuration.commandTimeout), .milliseconds(10))
        isAlive = true
        heartbeat = eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { [weak self] _ in
            guard let self else { return }
            guard isAlive else {
                return link.drop(RedisError(.timeout, "the server has stopped answering"))
            }
            isAlive = false
            send("PING", nil, .pong)
            flush()
        }
    }

    private func stopHeartbeat() {
        heartbeat?.cancel()
        heartbeat = nil
    }

    private func startTicking() {
        guard ticking == nil else { return }
        let interval = max(TimeAmount(configuration.subscriptionSilence / Self.turnCount), .milliseconds(1))
        ticking = eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { [weak self] _ in
            self?.takeTurn()
        }
    }

    private func stopTicking() {
        ticking?.cancel()
        ticking = nil
    }

    private func takeTurn() {
        guard readerCount > 0 else { return stopTicking() }
        tick = (tick + 1) % Self.turnCount
        ticksWithoutLink = link.isReady ? 0 : ticksWithoutLink + 1
        for (name, channel) in channels where channel.turn == tick {
            channels[name]?.isSilent = true
            guard channel.isSilent || ticksWithoutLink > Self.patientTicks else { continue }
            for reader in channel.readers.values where reader.waiter == nil { reader.buffer.push(.gap) }
        }
    }
}

extension SubscriptionHub: RedisLinkUser {
    var wantsConnection: Bool { !isClosed && readerCount > 0 }

    func linkIsReady() {
        for name in channels.keys where channels[name]?.readers.isEmpty == false {
            channels[name]?.unconfirmedCount = 1
            send("SUBSCRIBE", name, .subscribe(name))
        }
        flush()
        startHeartbeat()
    }

    func linkIsWritable() {}

    func linkWasLost(_ error: RedisError) {
        stopHeartbeat()
        expected.removeAll()
        for name in Array(channels.keys) {
            channels[name]?.unconfirmedCount = 0
            if channels[name]?.readers.isEmpty == true { channels[name] = nil }
        }
    }

    func linkWasRefused(_ error: RedisError) {
        // Those who read already go on waiting; the others are told.
        for (name, channel) in channels {
            for reader in channel.readers.values where reader.waiter != nil { leave(reader.buffer, name, error) }
        }
    }

    func linkReceived(_ reply: RESPValue) {
        isAlive = true
        if case .array(let elements) = reply, elements.count == 3, elements[0].string == "message",
            case .bytes(let message) = elements[2], let name = elements[1].string
        {
            guard let place = channels.index(forKey: name) else { return }
            channels.values[place].isSilent = false
            for reader in channels.values[place].readers.values { reader.buffer.push(.message(message)) }
            return
        }
        guard let expectation = expected.popFirst() else {
            return link.drop(RedisError(.protocolViolation, "a reply came to no command"))
        }
        switch (expectation, reply) {
        case (.subscribe(let name), .error(let text)):
            channels[name]?.unconfirmedCount -= 1
            end(name, RedisError(.server, text))
        case (.subscribe(let name), .array(let elements))
        where elements.first?.string == "subscribe" && elements.dropFirst().first?.string == name:
            confirm(name)
        case (.unsubscribe, .array(let elements)) where elements.first?.string == "unsubscribe": break
        case (.pong, .array(let elements)) where elements.first?.string == "pong": break
        case (.pong, .status), (.pong, .error), (.unsubscribe, .error): break
        default: link.drop(RedisError(.protocolViolation, "a reply does not answer its command"))
        }
    }

    private func confirm(_ name: String) {
        guard var channel = channels[name] else { return }
        channel.unconfirmedCount -= 1
        guard channel.unconfirmedCount == 0 else { return channels[name] = channel }
        for (id, reader) in channel.readers {
            if reader.waiter == nil {
                reader.buffer.push(.gap)
            } else {
                settle(reader, .success(()))
                channel.readers[id]?.waiter = nil
            }
        }
        channels[name] = channel.readers.isEmpty ? nil : channel
    }
}
