import FunctionKit

/// Counts up to `:count`, from where a client that comes back left off; `every` and `size` are the milliseconds between
/// two events and the bytes of each.
struct Ticker: StreamFunction {
    func stream(_ request: Request, _ events: EventStream, _ context: Context) async throws {
        guard let count = request.parameter("count").flatMap(Int.init), count >= 0 else {
            throw HTTPError(.badRequest, message: "The count is no number.")
        }
        let pause = Duration.milliseconds(request.queryParameter("every").flatMap(Int.init) ?? 0)
        let padding = String(repeating: "x", count: request.queryParameter("size").flatMap(Int.init) ?? 0)
        let seen = request.lastEventID.flatMap(Int.init) ?? 0
        guard seen < count else { return }
        for number in (seen + 1)...count {
            if pause > .zero, number > seen + 1 { try await Task.sleep(for: pause) }
            try await events.send(ServerSentEvent("\(number)\n\(padding)", name: "tick", id: "\(number)"))
        }
    }
}
