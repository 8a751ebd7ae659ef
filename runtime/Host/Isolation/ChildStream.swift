internal import FunctionKit

/// An event stream as its handler holds it in a function's process.
final class ChildStream: EventStream.Sink {
    private let call: ChildCall

    init(_ call: ChildCall) { self.call = call }

    func open() async throws { try await send([]) }

    func send(_ events: [ServerSentEvent]) async throws {
        for event in events { try event.check() }
        try await call.send(.events) { LinkEvents.write(events, into: &$0) }
    }
}
