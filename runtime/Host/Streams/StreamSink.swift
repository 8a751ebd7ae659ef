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
        if session.eventLoop.inEventLoop {
            let turns = session.value.connection.loop.sendTurns
            if turns.isOver { _ = await turns.nextTurn().value() }
        }
        if session.eventLoop.inEventLoop {
            guard let left = try session.value.sendAtOnce(events) else { return }
            rest = left
        }
        let session = session
        let waiter = StreamSession.Waiter(events: rest, sent: OneShot())
        if session.eventLoop.inEventLoop {
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
