/// What became of one attempt.
public enum BullOutcome: Sendable {
    /// What follows a failed attempt.
    public enum Retry: Sendable, Hashable {
        /// The job's attempts and back-off decide.
        case policy
        /// Nothing: the job has failed for good.
        case never
        /// The next attempt after this time, when the job has one left.
        case after(Duration)
    }

    /// It succeeded; the return value is JSON text, `null` for none.
    case completed(String)
    /// It failed: the reason as plain text, lines that tell where, and what is to follow.
    case failed(reason: String, stacktrace: [String] = [], retry: Retry = .policy)
    /// It was not carried out: the job goes back to the head of its queue and the attempt does not count.
    case handBack
    /// It was not carried out and does not count: the job is ready again after this time.
    case postponed(Duration)
    /// It was not carried out and does not count: the job goes back to the head of its queue, and no worker of a queue
    /// with a rate limit starts a job before this time is over.
    case rateLimited(Duration)
    /// The handler has moved the job itself, by ``BullJobControl/waitForChildren(_:)``.
    case moved
}
