public import FunctionKit

/// One job with all that the queue holds of it.
public struct BullJobDetail: Sendable, Hashable {
    /// The job.
    public let job: BullStoredJob
    /// Its state.
    public let state: BullJobState
    /// The last lines of its log, in order.
    public let log: [String]
    /// How many lines its log has.
    public let logCount: Int
    /// The token of the worker that holds it, or `nil`.
    public let lockToken: String?
    /// The time until its lock lapses unless it is renewed, or `nil` without a lock.
    public let lockRemaining: Duration?
    /// How many children it waits for.
    public let pendingChildCount: Int
    /// When a delayed job is due.
    public let dueAt: Timestamp?
}
