public import FunctionKit

/// What the section `callbacks` of the configuration says of deliveries; the host reads it and checks its bounds (see
/// docs/configuration.md). Addresses and the secret are the host's own.
public struct CallbacksConfiguration: SettingsSection, Hashable {
    /// `timeout`: how long one attempt may take, with the look for the receiver's address.
    public var timeout: Duration = .seconds(10)
    /// `attempts`: how often a callback is tried in all, also across losses of Redis.
    public var attempts = 10
    /// `retryDelay`: the time before the second attempt; it doubles each time.
    public var retryDelay: Duration = .seconds(10)
    /// `retryMaxDelay`: the longest time between two attempts, also when the receiver asks for a longer one.
    public var retryMaxDelay: Duration = .seconds(3_600)

    /// The defaults.
    public init() {}

    /// Tells when to try again.
    ///
    /// - Parameters:
    ///   - attempt: The attempt that failed, from 1.
    ///   - wanted: What the receiver asks for.
    ///   - jitter: 0 to 1: which share of a fifth is left out, so that receivers that were away are not met by all at once.
    /// - Returns: The time from the attempt that failed to the next.
    func delay(after attempt: Int, wanted: Duration?, jitter: Double) -> Duration {
        if let wanted { return min(max(wanted, .seconds(1)), retryMaxDelay) }
        // Beyond 2²⁰ times any delay is longer than the longest.
        let grown = retryDelay * (1 << min(max(attempt, 1) - 1, 20))
        return min(grown, retryMaxDelay) * (1 - 0.2 * jitter)
    }
}
