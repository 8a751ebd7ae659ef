internal import FunctionKit
internal import NIOCore
internal import Synchronization

/// The client of an event stream that was called by hand: keeps so many events and leaves.
final class RecordedEvents: EventStream.Sink {
    private struct State {
        var events: [ServerSentEvent] = []
        var isOpen = false
        var isFull = false
    }

    private let limit: Int
    private let state = Mutex(State())

    init(limit: Int) { self.limit = limit }

    /// Whether the stream was opened.
    var isOpen: Bool { state.withLock { $0.isOpen } }
    /// Whether the client has left because it has its events.
    var isFull: Bool { state.withLock { $0.isFull } }

    func open() async throws { try await send([]) }

    func send(_ events: [ServerSentEvent]) async throws {
        try Task.checkCancellation()
        for event in events { try event.check() }
        let isFull = state.withLock { state in
            state.isOpen = true
            state.events += events.prefix(limit - state.events.count)
            state.isFull = state.events.count == limit
            return state.isFull
        }
        if isFull { throw CancellationError() }
    }

    /// The events as JSON; 204 when the handler returned without opening the stream.
    func answer(ended: String) -> Response {
        let state = state.withLock { $0 }
        var json = JSONWriter()
        json.object { json in
            json.key("status")
            json.value(ended == "failed" ? 500 : state.isOpen || ended == "time" ? 200 : 204)
            json.key("events")
            json.array { json in
                for event in state.events {
                    json.object { json in
                        if let name = event.name {
                            json.key("event")
                            json.value(name)
                        }
                        if let id = event.id {
                            json.key("id")
                            json.value(id)
                        }
                        json.key("data")
                        json.value(String(buffer: event.data))
                    }
                }
            }
            json.key("ended")
            json.value(ended)
        }
        return .json(encoded: json.buffer)
    }
}
