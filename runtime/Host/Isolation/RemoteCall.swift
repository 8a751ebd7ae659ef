internal import DequeModule
internal import FunctionKit
internal import NIOCore

/// One call on its way through a function's process, as its caller holds it.
final class RemoteCall: @unchecked Sendable {
    // @unchecked: apart from the constants everything is touched on the link's loop only.

    /// What the process says of the call.
    enum Event {
        case events([ServerSentEvent], bytes: Int)
        case accept(protocol: String?)
        case messages([WebSocketMessage], bytes: Int)
        case close(WebSocketCloseCode, reason: String)
        case want
        case progress(String, bytes: Int)
        case end(Result<LinkResult.Value, any Error>)
        /// The process has ended, or has turned the call back.
        case lost(wasTaken: Bool)
    }

    /// Half a window: acknowledging less would cost more than it brings.
    private static let creditBytes = LinkFrame.windowBytes / 2

    let link: SupervisorLink
    /// The call's number on its link.
    let stream: UInt32
    /// How many calls were sent before it, itself included.
    let sequence: UInt64
    let sentAt = NIODeadline.now()
    /// Whether it was sent to a process that had not started yet.
    let isCold: Bool
    private var inbox: Deque<Event> = []
    private var waiter: CheckedContinuation<Event, Never>?
    private var uncreditedBytes = 0
    private var creditBytes = 0
    private(set) var isCancelled = false
    private(set) var hasEnded = false
    /// Whether the process has ended it.
    private(set) var isAnswered = false
    /// Whether nobody waited for it any more and it went on.
    var isAbandoned = false

    init(_ link: SupervisorLink, stream: UInt32, sequence: UInt64, isCold: Bool) {
        self.link = link
        self.stream = stream
        self.sequence = sequence
        self.isCold = isCold
    }

    /// The next thing that the process says; the last one is an end or a loss. Called on the loop, by one task.
    func next() async -> Event {
        if let event = inbox.popFirst() { return event }
        return await withCheckedContinuation { waiter = $0 }
    }

    /// Takes what has come.
    func received(_ event: Event) throws(LinkViolation) {
        guard !hasEnded else { return }
        switch event {
        case .events(_, let bytes), .messages(_, let bytes), .progress(_, let bytes):
            guard uncreditedBytes < LinkFrame.windowBytes else { throw LinkViolation("more than the window holds") }
            uncreditedBytes += bytes
        case .end:
            hasEnded = true
            isAnswered = true
        case .lost: hasEnded = true
        case .accept, .close, .want: break
        }
        if let waiter {
            self.waiter = nil
            waiter.resume(returning: event)
        } else {
            inbox.append(event)
        }
    }

    /// Says that the client has taken so much.
    func credit(_ bytes: Int) {
        creditBytes += bytes
        guard creditBytes >= RemoteCall.creditBytes, !hasEnded else { return }
        let taken = creditBytes
        uncreditedBytes -= taken
        creditBytes = 0
        link.write { buffer in
            buffer.writeFrame(.credit, stream) { $0.writeInteger(UInt32(clamping: taken)) }
        }
    }

    func write(_ kind: LinkFrame.Kind, _ body: (inout ByteBuffer) -> Void = { _ in }) {
        guard !hasEnded else { return }
        link.write { $0.writeFrame(kind, stream, body) }
    }

    /// Has the handler cancelled; its end is still waited for. May be called anywhere.
    func cancel() {
        guard link.loop.inEventLoop else { return link.loop.execute { self.cancel() } }
        guard !isCancelled, !hasEnded else { return }
        isCancelled = true
        write(.cancel)
        link.watch(self)
    }
}
