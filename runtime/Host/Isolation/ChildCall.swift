internal import DequeModule
internal import FunctionKit
internal import NIOCore

/// One call in a function's process, from its first frame to its handler's end.
final class ChildCall: @unchecked Sendable {
    // @unchecked: apart from the constants everything is touched on the link's loop only.

    private struct Waiter {
        /// What it sends; empty once that was written.
        var frame: ByteBuffer
        let sent: OneShot<Result<Void, CancellationError>>
    }

    let link: ChildLink
    let stream: UInt32
    private var task: Task<Void, Never>?
    private(set) var isCancelled = false
    private(set) var hasEnded = false
    /// What was sent and is not taken.
    private var outstandingBytes = 0
    private var waiters: Deque<Waiter> = []
    /// Where the handler asks for a socket.
    var socket: ChildSocket.State?

    init(_ link: ChildLink, stream: UInt32) {
        self.link = link
        self.stream = stream
    }

    private var mayWrite: Bool { outstandingBytes < LinkFrame.windowBytes }

    /// Keeps the handler's task, which may have ended or been given up before it was known.
    func keep(_ task: Task<Void, Never>) {
        guard !hasEnded else { return }
        self.task = task
        if isCancelled { task.cancel() }
    }

    /// The caller waits no more.
    func cancel() {
        guard !isCancelled, !hasEnded else { return }
        isCancelled = true
        // As in the host: a reader learns of the end as an end, a sender as a cancellation.
        socket?.close()
        failSenders()
        task?.cancel()
    }

    /// The handler has ended.
    func end(_ result: Result<LinkResult.Value, any Error>) {
        guard !hasEnded else { return }
        hasEnded = true
        task = nil
        socket?.close()
        failSenders()
        link.ended(self, result)
    }

    /// So much was taken.
    func credited(_ bytes: Int) throws(LinkViolation) {
        guard bytes <= outstandingBytes else { throw LinkViolation("a credit for what was not sent") }
        outstandingBytes -= bytes
        while mayWrite, let waiter = waiters.popFirst() {
            guard !waiter.sent.isSet else { continue }
            if waiter.frame.readableBytes > 0 {
                write(waiter.frame)
                if !mayWrite {
                    waiters.prepend(Waiter(frame: ByteBuffer(), sent: waiter.sent))
                    break
                }
            }
            waiter.sent.set(.success(()))
        }
    }

    /// Sends a frame and waits until the client takes more.
    ///
    /// - Throws: `CancellationError` when the call is over or the task is cancelled.
    func send(_ kind: LinkFrame.Kind, _ body: (inout ByteBuffer) -> Void) async throws {
        try Task.checkCancellation()
        var rest = ByteBuffer()
        rest.writeFrame(kind, stream, body)
        let isOnLoop = link.loop.inEventLoop
        if isOnLoop {
            guard let left = try sendAtOnce(rest) else { return }
            rest = left
        }
        let waiter = Waiter(frame: rest, sent: OneShot())
        if isOnLoop { enqueue(waiter) } else { link.loop.execute { self.enqueue(waiter) } }
        let result = await withTaskCancellationHandler {
            await waiter.sent.value()
        } onCancel: {
            waiter.sent.set(.failure(CancellationError()))
            link.loop.execute { self.waiters.removeAll { $0.sent.isSet } }
        }
        try result.get()
    }

    /// - Returns: `nil` when all is done; otherwise the sender waits, with what is still to be sent after that.
    private func sendAtOnce(_ frame: ByteBuffer) throws(CancellationError) -> ByteBuffer? {
        guard !isCancelled, !hasEnded else { throw CancellationError() }
        guard waiters.isEmpty, mayWrite else { return frame }
        write(frame)
        return mayWrite ? nil : ByteBuffer()
    }

    private func enqueue(_ waiter: Waiter) {
        guard !waiter.sent.isSet else { return }
        guard waiter.frame.readableBytes > 0 else { return waiters.append(waiter) }
        do throws(CancellationError) {
            guard let rest = try sendAtOnce(waiter.frame) else { return _ = waiter.sent.set(.success(())) }
            waiters.append(Waiter(frame: rest, sent: waiter.sent))
        } catch {
            waiter.sent.set(.failure(error))
        }
    }

    private func write(_ frame: ByteBuffer) {
        outstandingBytes += frame.readableBytes - LinkFrame.headBytes
        link.write { $0.writeImmutableBuffer(frame) }
    }

    private func failSenders() {
        let left = waiters
        waiters = []
        for waiter in left { waiter.sent.set(.failure(CancellationError())) }
    }
}
