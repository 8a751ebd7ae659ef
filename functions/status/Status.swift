import Downloads
import FunctionKit

/// Shows a job: one round trip to Redis, and 304 for a caller whose `If-None-Match` is up to date. With `?wait=` the
/// answer waits for news.
struct Status: HTTPFunction {
    func handle(_ request: Request, _ context: Context) async throws -> Response {
        try await JobPoll.response(to: request, context)
    }
}
