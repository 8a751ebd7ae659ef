import NIOCore

/// The time before the next attempt to connect: doubles from 50 ms to 2 s, and half of it is random, so that the
/// clients of a server that comes back do not all arrive at once.
struct ReconnectDelay {
    static let longest = TimeAmount.seconds(2)
    private static let first = TimeAmount.milliseconds(50)

    private var failureCount = 0

    /// The delay after one more failure.
    mutating func next(using generator: inout some RandomNumberGenerator) -> TimeAmount {
        let bound = min(Self.first.nanoseconds << min(failureCount, 16), Self.longest.nanoseconds)
        failureCount += 1
        return .nanoseconds(Int64.random(in: bound / 2...bound, using: &generator))
    }

    /// Begins again after a connection that held.
    mutating func reset() { failureCount = 0 }
}
