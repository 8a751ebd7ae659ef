internal import Synchronization

/// Counts the jobs, events and ticks that a process handles, and tells when there are some or none any more.
public final class BusyMeter: Sendable {
    private let number = Atomic<Int>(0)
    private let onEdge: @Sendable () -> Void

    /// Makes a meter that reads zero.
    ///
    /// - Parameter onEdge: Called when the count has left or reached zero, on any thread; it must not block. Two such calls
    ///   may overtake each other, so what holds then is read from ``count``.
    public init(onEdge: @escaping @Sendable () -> Void) {
        self.onEdge = onEdge
    }

    /// How many are handled now.
    public var count: Int { number.load(ordering: .acquiring) }

    func enter() {
        if number.add(1, ordering: .acquiringAndReleasing).oldValue == 0 { onEdge() }
    }

    func leave() {
        if number.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 { onEdge() }
    }
}
