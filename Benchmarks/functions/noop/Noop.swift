import FunctionKit

/// Answers with a few bytes: what is left is the cost of the host.
struct Noop: HTTPFunction {
    func handle(_ request: Request, _ context: Context) async throws -> Response {
        .text("ok\n")
    }
}
