/// Where a queue keeps a job.
public enum BullJobState: String, Sendable, Hashable, CaseIterable {
    /// Ready, in the order of arrival.
    case waiting
    /// A worker holds it, or held it when it was lost.
    case active
    /// Ready at a later time.
    case delayed
    /// Ready, in the order of its priority.
    case prioritized
    /// Done.
    case completed
    /// Failed for good: a dead letter.
    case failed
    /// A parent that waits for its children.
    case waitingChildren = "waiting-children"
    /// Put aside by a client of version 5 that paused the queue.
    case paused
    /// In no list, or not there at all.
    case unknown

    /// The key behind the queue's prefix; `nil` for ``unknown``.
    var key: String? {
        switch self {
        case .waiting: "wait"
        case .unknown: nil
        default: rawValue
        }
    }

    /// Whether the key is a list, whose right end is the next; else it is a sorted set.
    var isList: Bool { self == .waiting || self == .active || self == .paused }

    /// Whether the job has ended.
    public var hasEnded: Bool { self == .completed || self == .failed }
}
