/// What a look for lost jobs has done.
public struct ReconcileReport: Sendable, Hashable {
    /// Jobs whose next round was begun and queued.
    public var raisedJobs = 0
    /// Jobs that the queue had finished and that are now finished in the history too.
    public var closedJobs = 0
    /// Jobs that were lost once too often and have failed.
    public var failedJobs = 0
    /// Jobs whose record was told that they have ended.
    public var toldJobs = 0
    /// Callbacks that were queued again.
    public var raisedCallbacks = 0
    /// Callbacks that were lost at their last attempt and are given up.
    public var failedCallbacks = 0
    /// Jobs that could not be dealt with; the next look tries them again.
    public var failures = 0
    /// Where the next look goes on.
    public var next = ReconcilePlace()

    /// Whether there was nothing to do.
    public var isEmpty: Bool {
        raisedJobs + closedJobs + failedJobs + toldJobs + raisedCallbacks + failedCallbacks + failures == 0
    }

    init() {}
}
