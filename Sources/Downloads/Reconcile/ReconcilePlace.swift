internal import FunctionKit

/// Where a look for lost jobs has stopped.
public struct ReconcilePlace: Sendable, Hashable {
    /// The last of the unfinished jobs that were looked at; `nil` for the beginning.
    var unfinished: HistoryPlace?
    /// The last of the jobs whose callback is due that were looked at; `nil` for the beginning.
    var callbacks: HistoryPlace?
    /// The last of the ended jobs that were looked at; `nil` for the beginning.
    var ended: HistoryPlace?
    /// When the pass over the ended jobs began.
    var endedSince: Timestamp?

    /// The beginning.
    public init() {}
}
