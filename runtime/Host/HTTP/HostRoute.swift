public import FunctionKit

/// A route that the host answers itself, such as `/health`.
public struct HostRoute: Sendable {
    /// The method, upper case.
    public let method: String
    /// The path.
    public let path: String
    /// Answers; it must not block, since it runs on the connection's loop.
    public let answer: @Sendable (Request) async throws -> Response

    /// How long an answer may take.
    let timeout: Duration
    /// The largest body, in bytes.
    let maxBodyBytes: Int

    /// Makes a route.
    public init(
        _ method: String, _ path: String, timeout: Duration = .seconds(10), maxBodyBytes: Int = 65_536,
        answer: @escaping @Sendable (Request) async throws -> Response
    ) {
        self.method = method
        self.path = path
        self.timeout = timeout
        self.maxBodyBytes = maxBodyBytes
        self.answer = answer
    }
}
