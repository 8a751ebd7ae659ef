/// Gathers what an editor does to save a file into one change: it waits until nothing has happened for a moment, but no
/// longer than a bound.
public struct ChangeDebouncer: Sendable {
    /// How long nothing must happen.
    public let quiet: Duration
    /// How long a change waits at most.
    public let limit: Duration
    private var change = WatchedChange()
    private var first: ContinuousClock.Instant?
    private var last: ContinuousClock.Instant?

    /// Makes an empty one.
    public init(quiet: Duration = .milliseconds(40), limit: Duration = .milliseconds(400)) {
        self.quiet = quiet
        self.limit = limit
    }

    /// Adds what has happened; an empty change is nothing.
    public mutating func add(_ other: WatchedChange, at now: ContinuousClock.Instant) {
        guard !other.isEmpty else { return }
        change.merge(other)
        first = first ?? now
        last = now
    }

    /// When the change is due, or `nil` when there is none.
    public var due: ContinuousClock.Instant? {
        guard let first, let last else { return nil }
        return min(last + quiet, first + limit)
    }

    /// Takes the change out if it is due.
    public mutating func take(at now: ContinuousClock.Instant) -> WatchedChange? {
        guard let due, due <= now else { return nil }
        defer { self = ChangeDebouncer(quiet: quiet, limit: limit) }
        return change
    }
}
