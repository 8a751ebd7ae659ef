public import FunctionKit

/// A route that the host answers itself, such as `/health`.
public struct HostRoute: Sendable {
    /// The method, upper case.
    public let method: String
    /// The path.
    public let path: String
    /// Answers; it must not block, since it runs on the connection's loop.
    public let answer: @Sendable (Request) async throws -> Response

    /// Makes a route.
    public init(_ method: String, _ path: String, answer: @escaping @Sendable (Request) async throws -> Response) {
        self.method = method
        self.path = path
        self.answer = answer
    }

    /// How long an answer may take.
    static let timeout = Duration.seconds(10)
    /// The largest body.
    static let maxBodyBytes = 65_536
}
