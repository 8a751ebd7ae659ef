internal import FunctionKit
internal import NIOCore

/// A stream as its handler holds it.
final class StreamSink: EventStream.Sink {
    private let session: NIOLoopBound<StreamSession>

    init(_ session: NIOLoopBound<StreamSession>) {
        self.session = session
    }

    func open() async throws { try await session.send([]) }

    func send(_ events: [ServerSentEvent]) async throws {
        for event in events { try event.check() }
        try await session.send(events)
    }
}
