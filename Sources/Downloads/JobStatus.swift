/// Where a download job is in its life.
///
/// `queued → processing → ready | failed | cancelled`, `processing → queued` for a further attempt, `ready → expired`.
public enum JobStatus: String, Sendable, Hashable, Codable, CaseIterable {
    /// Accepted, waiting for a worker, also between two attempts.
    case queued
    /// A worker makes the archive.
    case processing
    /// The archive can be fetched.
    case ready
    /// There will be no archive.
    case failed
    /// The archive was there and is gone.
    case expired
    /// Its owner gave it up.
    case cancelled

    /// Whether the round is over: nothing more happens to the job but expiry and a retry.
    public var isFinished: Bool { self != .queued && self != .processing }

    /// The states in which work may begin or go on.
    public static let unfinished: Set<JobStatus> = [.queued, .processing]

    /// The states in which a round is over.
    static let finished: Set<JobStatus> = Set(allCases).subtracting(unfinished)
}

extension Set<JobStatus> {
    /// The names, as the history knows them.
    public var names: Set<String> { Set<String>(map(\.rawValue)) }
}
