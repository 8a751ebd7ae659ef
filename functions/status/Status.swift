import Downloads
import FunctionKit

/// Shows a job: one round trip to Redis, and 304 for a caller whose `If-None-Match` is up to date.
struct Status: HTTPFunction {
    func handle(_ request: Request, _ context: Context) async throws -> Response {
        let job = try await context.downloadJob(try request.jobID())
        return job.response(to: request, at: .now)
    }
}
