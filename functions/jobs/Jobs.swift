import Downloads
import FunctionKit

/// Lists the caller's jobs, newest first.
struct Jobs: HTTPFunction {
    func handle(_ request: Request, _ context: Context) async throws -> Response {
        try await JobList.response(to: request, context)
    }
}
