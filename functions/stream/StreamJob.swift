import Downloads
import FunctionKit

/// Follows a job with server-sent events: the event is the message's type, its id the message's number.
struct StreamJob: StreamFunction {
    func stream(_ request: Request, _ events: EventStream, _ context: Context) async throws {
        var watch = try await JobWatch(try request.jobID(), after: try request.watchedEventID(), context)
        // 204: the client has seen the end, and an EventSource does not come back.
        if watch.isAtEnd { return }
        if !watch.hasMessages { try await events.open() }
        do {
            while let messages = try await watch.next() { try await events.send(messages.map(\.event)) }
        } catch let error as any ClassifiedError where error.isUnavailable {
            // The stream ends in order, and the client comes back with the last id.
            context.logger.debug("a watch has ended early", metadata: ["error": "\(error)"])
        }
    }
}
