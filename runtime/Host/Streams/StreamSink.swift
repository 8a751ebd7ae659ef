internal import FunctionKit
internal import NIOCore

/// A stream as its handler holds it: on the connection's loop a call is a call, from elsewhere it is a hop.
final class StreamSink: EventStream.Sink {
    private let session: NIOLoopBound<StreamSession>

    init(_ session: NIOLoopBound<StreamSession>) {
        self.session = session
    }

    func open() async throws { try await send([]) }

    func send(_ events: [ServerSentEvent]) async throws {
        try Task.checkCancellation()
        for event in events { try event.check() }
        var rest = events
        let isOnLoop = session.eventLoop.inEventLoop
        if isOnLoop {
            guard let left = try session.value.sendAtOnce(events) else { return }
            rest = left
        }
        let session = session
        let waiter = StreamSession.Waiter(events: rest, sent: OneShot())
        if isOnLoop {
            session.value.enqueue(waiter)
        } else {
            session.eventLoop.execute { session.value.enqueue(waiter) }
        }
        let result = await withTaskCancellationHandler {
            await waiter.sent.value()
        } onCancel: {
            waiter.sent.set(.failure(CancellationError()))
            session.eventLoop.execute { session.value.dropCancelled() }
        }
        try result.get()
    }
}
