internal import FunctionKit

/// What stands between a request and its function: who calls, and how much he may do.
public struct RequestGuards: Sendable {
    let authenticator: Authenticator
    let limiter: RateLimiter?

    /// Collects the guards; the default lets everybody in.
    public init(authenticator: Authenticator = .none, limiter: RateLimiter? = nil) {
        self.authenticator = authenticator
        self.limiter = limiter
    }
}
