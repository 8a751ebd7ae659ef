/// How often and when a request is sent again: exponential back-off with jitter.
public struct S3RetryPolicy: Sendable, Hashable {
    /// The number of tries, the first one included; at least 1.
    public let attemptCount: Int
    /// The back-off after the first try; it doubles with each further one.
    public let baseDelay: Duration
    /// The longest back-off.
    public let maximumDelay: Duration

    /// Makes a policy.
    public init(attemptCount: Int = 3, baseDelay: Duration = .seconds(1), maximumDelay: Duration = .seconds(30)) {
        precondition(attemptCount >= 1, "a request is tried at least once")
        self.attemptCount = attemptCount
        self.baseDelay = baseDelay
        self.maximumDelay = maximumDelay
    }

    /// The back-off after a try that failed: half of it fixed, half random, so that clients spread out.
    ///
    /// - Parameters:
    ///   - attempt: The number of the try, from 1.
    ///   - random: 0 to 1.
    /// - Returns: At most the longest back-off.
    func delay(after attempt: Int, random: Double) -> Duration {
        var full = min(baseDelay, maximumDelay)
        for _ in 1..<min(max(attempt, 1), 64) { full = min(full * 2, maximumDelay) }
        return full * (0.5 + 0.5 * random)
    }
}
