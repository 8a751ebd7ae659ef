public import FunctionKit

/// The back-off of a job as it stands in its options, of whatever type.
public struct BullBackoff: Sendable, Hashable {
    /// What follows a failed attempt.
    public enum Step: Sendable, Hashable {
        /// The next attempt at once.
        case immediately
        /// The next attempt after so many milliseconds, at least 1.
        case delay(ms: Int64)
        /// The type has no meaning here; the job fails and names it.
        case unknownType(String)
    }

    /// `fixed`, `exponential`, or a name that means something to the producer's own workers only.
    public var type: String
    /// The first delay, in milliseconds.
    public var delayMs: Double
    /// The share of the delay that is random, 0 to 1.
    public var jitter: Double

    /// The longest wait, ten years: a sorted set's score holds no times after 2039.
    static let maximumMs = 315_360_000_000.0

    /// Makes a back-off.
    ///
    /// - Parameters:
    ///   - type: `fixed` or `exponential`; any other fails the job at its first failed attempt.
    ///   - delayMs: The first delay, in milliseconds.
    ///   - jitter: The share of the delay that is random, 0 to 1.
    public init(type: String, delayMs: Double, jitter: Double = 0) {
        self.type = type
        self.delayMs = delayMs
        self.jitter = jitter
    }

    /// The form of FunctionKit.
    public init(_ backoff: Backoff) {
        self.init(
            type: backoff.kind.rawValue, delayMs: Double(backoff.delay.wholeMilliseconds), jitter: backoff.jitter)
    }

    /// What follows the failed attempt number `attempt`.
    ///
    /// - Parameters:
    ///   - attempt: From 1.
    ///   - random: Uniform in 0..<1; used only with jitter.
    /// - Returns: `delay` for fixed, `2^(attempt − 1) · delay` for exponential, with jitter uniform in `[d·(1−j), d)`.
    public func step(afterAttempt attempt: Int, random: Double) -> Step {
        let first = min(max(delayMs, 0), BullBackoff.maximumMs)
        var wait: Double
        switch type {
        case "fixed": wait = first
        case "exponential":
            // 2^63 is beyond the longest wait already.
            wait = (first * Double(UInt64(1) << UInt64(max(0, min(attempt - 1, 63))))).rounded()
        default: return .unknownType(type)
        }
        if jitter > 0 {
            let share = min(jitter, 1)
            wait = (wait * (1 - share) + random * wait * share).rounded(.down)
        }
        wait = min(wait, BullBackoff.maximumMs)
        return wait >= 1 ? .delay(ms: Int64(wait)) : .immediately
    }
}

extension Duration {
    /// Whole milliseconds; parts are dropped.
    package var wholeMilliseconds: Int64 {
        components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
    }
}
