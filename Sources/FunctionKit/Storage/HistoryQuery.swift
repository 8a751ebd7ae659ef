/// Which jobs of an owner are listed, newest first.
public struct HistoryQuery: Sendable, Hashable {
    /// Whose jobs; `nil` for those without an owner.
    public var owner: String?
    /// Only jobs with this status at ``time``; `nil` for all.
    public var status: String?
    /// The time for which a status is told: a job that is `ready` and whose archive's time is over counts as `expired`.
    public var time: Timestamp
    /// Only jobs behind this place, where a page before ended; its time is that of acceptance.
    public var after: HistoryPlace?
    /// At most so many.
    public var limit: Int

    /// Makes a query.
    public init(owner: String?, status: String? = nil, at time: Timestamp, after: HistoryPlace? = nil, limit: Int) {
        self.owner = owner
        self.status = status
        self.time = time
        self.after = after
        self.limit = limit
    }
}

/// A place in a list of jobs that is sorted by a time and the id.
public struct HistoryPlace: Sendable, Hashable {
    /// The time by which the list is sorted.
    public let time: Timestamp
    /// The job's id.
    public let id: String

    /// Makes a place.
    public init(time: Timestamp, id: String) {
        self.time = time
        self.id = id
    }
}

/// A job of a list, with sums over the results of its files.
public struct HistorySummary: Sendable, Hashable {
    /// The job.
    public let job: HistoryJob
    /// How many of its files are `completed` or `failed`.
    public let processedCount: Int
    /// The bytes of those that are `completed`.
    public let completedBytes: Int64

    /// Makes a summary.
    public init(job: HistoryJob, processedCount: Int, completedBytes: Int64) {
        self.job = job
        self.processedCount = processedCount
        self.completedBytes = completedBytes
    }
}
