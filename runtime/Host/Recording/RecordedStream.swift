internal import FunctionKit
internal import NIOCore
internal import Synchronization

/// Stands between a function and its event stream, and keeps the first events that went out.
final class RecordedStream: EventStream.Sink {
    /// What went out.
    struct Transcript: Sendable {
        var events: [ServerSentEvent] = []
        var isOpen = false
        /// Whether more went out than was kept.
        var isCut = false
        fileprivate var bytes = 0
        fileprivate var isOver = false
    }

    private static let countLimit = 1000

    private let stream: EventStream
    private let byteLimit: Int
    private let state = Mutex(Transcript())

    init(_ stream: EventStream, byteLimit: Int) {
        self.stream = stream
        self.byteLimit = byteLimit
    }

    /// What went out so far.
    var transcript: Transcript { state.withLock { $0 } }

    func open() async throws {
        try await stream.open()
        state.withLock { $0.isOpen = true }
    }

    func send(_ events: [ServerSentEvent]) async throws {
        do {
            try await stream.send(events)
        } catch let error as CancellationError {
            // These may have been the last ones that the client had.
            keep(events, isLast: true)
            throw error
        }
        keep(events, isLast: false)
    }

    private func keep(_ events: [ServerSentEvent], isLast: Bool) {
        state.withLock { state in
            guard !state.isOver else { return }
            state.isOpen = true
            state.isOver = isLast
            for event in events where !state.isCut {
                state.bytes += event.data.readableBytes + 64
                state.isCut = state.events.count == Self.countLimit || state.bytes > byteLimit
                if !state.isCut { state.events.append(event) }
            }
        }
    }
}

extension Recording {
    func expected(
        _ transcript: RecordedStream.Transcript, _ error: (any Error)?, _ redaction: Redaction
    ) -> [(String, PositionedJSON.Value?)]? {
        let hasFailed = error.map { !($0 is CancellationError) } ?? false
        if let error, hasFailed, !transcript.isOpen { return Self.failureMembers(error, redaction) }
        // Of a client that left before it had anything there is nothing to expect.
        if error != nil, !hasFailed, transcript.events.isEmpty { return nil }
        let events = transcript.events.map { event in
            PositionedJSON(object: [
                ("event", event.name.map { .string($0) }), ("id", event.id.map { .string($0) }),
                ("data", Self.content(String(buffer: event.data), redaction)),
            ])
        }
        let status = hasFailed ? 500 : transcript.isOpen ? 200 : 204
        let ended: PositionedJSON.Value? =
            transcript.isCut ? nil : error == nil ? .string("returned") : hasFailed ? .string("failed") : nil
        return [
            ("status", PositionedJSON.number(transcript.isCut ? 200 : status)), ("events", .array(events)),
            ("ended", ended),
        ]
    }

    /// Where a client leaves that is to see the same, and what it says.
    func clientMembers(_ redaction: Redaction) -> [(String, PositionedJSON.Value?)] {
        let seconds = PositionedJSON.number(min(3600, Int(time / .seconds(1)) + 5))
        switch outcome {
        case .events(let transcript, let error):
            let hasLeft = transcript.isCut || error is CancellationError
            let limit = max(1, transcript.events.count + (hasLeft ? 0 : 1))
            return [("limit", PositionedJSON.number(min(1000, limit))), ("seconds", seconds)]
        case .messages(let transcript, _):
            let sent = transcript.sent.count
            let limit = max(1, transcript.isPushed || transcript.isCut ? sent : sent + 1)
            return [
                ("messages", .array(transcript.received.map { Self.message($0, redaction) })),
                ("limit", PositionedJSON.number(min(1000, limit))),
                ("seconds", transcript.isPushed ? seconds : nil),
            ]
        case .response, .returned, .failed, .cancelled: return []
        }
    }
}
