/// A handler that runs at the times of its manifest's `schedule`.
///
/// Of all processes that serve the function one runs each tick. A tick whose process dies is given to another, so a
/// handler may see the same tick twice; ticks that pass while no process runs are made up for by one, unless the pause is
/// shorter than 10 s: then none is left out.
public protocol ScheduledFunction: Sendable {
    /// Makes the handler. Called once, when the module is loaded; it must not do work.
    init()

    /// Runs one tick.
    ///
    /// - Parameters:
    ///   - tick: Which one.
    ///   - context: What the host lends for this invocation.
    /// - Throws: Any error; the tick has then failed, and is tried again when the manifest's `retry` says so.
    /// - Cancellation: as in ``QueueFunction/process(_:_:)``.
    func run(_ tick: ScheduledTick, _ context: Context) async throws
}

/// One time at which a schedule is due.
public struct ScheduledTick: Sendable, Hashable {
    /// The time at which it was due; it runs at that time or later.
    public let at: Timestamp
    /// Which attempt this is, from 1.
    public let attempt: Int
    /// How many attempts the tick has in all, at least 1.
    public let maxAttempts: Int

    /// Makes a tick; the host does so for each attempt, tests may.
    public init(at: Timestamp, attempt: Int = 1, maxAttempts: Int = 1) {
        self.at = at
        self.attempt = attempt
        self.maxAttempts = maxAttempts
    }
}
