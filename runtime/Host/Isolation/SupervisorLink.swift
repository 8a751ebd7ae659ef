internal import FunctionKit
internal import Logging
internal import NIOCore

/// The supervisor's end of one link: calls to a function's process from one of the supervisor's loops.
final class SupervisorLink: LinkOwner, @unchecked Sendable {
    // @unchecked: apart from the constants everything is touched on `loop` only.

    /// What the process's pool is told.
    enum Notice: Sendable {
        case ready
        case draining
        case busy(Bool)
        /// A handler has gone on after its time and holds a thread, or all of the process.
        case stuck(String)
        /// A caller waits no more for a call, which goes on.
        case abandoned
        case closed
    }

    /// How long a handler may go on after its call was cancelled, and a process may leave a question unanswered.
    static let cancelGrace = TimeAmount.seconds(2)
    private static let maxProgressBytes = 1 << 20

    let loop: any EventLoop
    let channel: LinkChannel
    private let index: Int
    private let receipts: LinkReceipts
    private let notify: @Sendable (Notice) -> Void
    private var calls: [UInt32: RemoteCall] = [:]
    private var nextStream: UInt32 = 1
    private var sentCount: UInt64 = 0
    private var questions = 0
    private(set) var readyAt: NIODeadline?

    init(
        loop: any EventLoop, index: Int, receipts: LinkReceipts, logger: Logger,
        notify: @escaping @Sendable (Notice) -> Void
    ) {
        self.loop = loop
        self.index = index
        self.receipts = receipts
        self.notify = notify
        channel = LinkChannel(maxFrameBytes: LinkFrame.maxAnswerBytes, logger: logger)
    }

    /// Begins a call. On a link that is closed it is lost at once, not taken.
    func call(_ input: LinkCall.Input, _ context: Context) -> RemoteCall {
        sentCount += 1
        repeat { nextStream = nextStream == .max ? 1 : nextStream + 1 } while calls[nextStream] != nil
        let call = RemoteCall(self, stream: nextStream, sequence: sentCount, isCold: readyAt == nil)
        guard !channel.isClosed else {
            lose(call, wasTaken: false)
            return call
        }
        calls[call.stream] = call
        write { LinkCall.write(input, context, stream: call.stream, into: &$0) }
        return call
    }

    func write(_ body: (inout ByteBuffer) -> Void) { channel.write(body) }

    /// How long a call that came before the process was ready waited for it.
    func coldWait(of call: RemoteCall) -> TimeAmount? {
        guard call.isCold, let readyAt else { return nil }
        return max(.zero, readyAt - call.sentAt)
    }

    /// Looks after a call that was cancelled: its handler may hold the whole process.
    func watch(_ call: RemoteCall) {
        loop.assumeIsolated().scheduleTask(in: SupervisorLink.cancelGrace) {
            guard !call.hasEnded, !self.channel.isClosed else { return }
            call.isAbandoned = true
            self.notify(.abandoned)
            self.ask()
        }
    }

    /// Asks the process whether its loop still turns.
    private func ask() {
        guard questions == 0 else { return }
        questions = 1
        write { $0.writeFrame(.ping) }
        loop.assumeIsolated().scheduleTask(in: SupervisorLink.cancelGrace) {
            guard self.questions > 0, !self.channel.isClosed else { return }
            self.notify(.stuck("a handler keeps its event loop"))
        }
    }

    func received(_ frame: LinkFrame) throws(LinkViolation) {
        switch frame.kind {
        case .ready:
            guard readyAt == nil else { throw LinkViolation("a process that starts twice") }
            readyAt = .now()
            notify(.ready)
        case .draining: notify(.draining)
        case .busy:
            var payload = frame.payload
            notify(.busy(try payload.readNumber(UInt8.self) != 0))
        case .lost:
            var payload = frame.payload
            notify(.stuck(try payload.readText()))
        case .pong: questions = 0
        default: try receivedOfCall(frame)
        }
    }

    private func receivedOfCall(_ frame: LinkFrame) throws(LinkViolation) {
        guard let call = calls[frame.stream] else { throw LinkViolation("a frame of no call") }
        var payload = frame.payload
        let bytes = payload.readableBytes
        let event: RemoteCall.Event
        switch frame.kind {
        case .end: event = .end(try LinkResult.read(payload))
        case .turnedBack: event = .lost(wasTaken: false)
        case .events: event = .events(try LinkEvents.readEvents(payload), bytes: bytes)
        case .messages: event = .messages(try LinkEvents.readMessages(payload), bytes: bytes)
        case .accept: event = .accept(protocol: try payload.readOptionalText())
        case .close:
            let code = WebSocketCloseCode(rawValue: try payload.readNumber())
            event = .close(code, reason: try payload.readText())
        case .want: event = .want
        case .progress:
            guard bytes <= SupervisorLink.maxProgressBytes else { throw LinkViolation("too much progress") }
            event = .progress(try payload.readText(), bytes: bytes)
        default: throw LinkViolation("a frame for the other end")
        }
        try call.received(event)
        if call.hasEnded { calls[call.stream] = nil }
    }

    func linkClosed() {
        let left = calls.values
        calls = [:]
        let taken = receipts.taken(index)
        notify(.closed)
        for call in left { lose(call, wasTaken: call.sequence <= taken) }
    }

    private func lose(_ call: RemoteCall, wasTaken: Bool) {
        // Only events and messages can be too much.
        try? call.received(.lost(wasTaken: wasTaken))
    }
}
