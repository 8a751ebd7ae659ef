/// How far the history is with telling somebody about a job.
///
/// What is told is a status in a round. A callback is due when the job's own are others than those of ``round`` and
/// ``about``, or when it is ``State/pending``; so a change of status makes the next one due in the same commit.
public struct HistoryCallback: Sendable, Hashable {
    /// What came of it.
    public enum State: String, Sendable, Hashable {
        /// Not told yet.
        case pending
        /// The receiver has taken it.
        case delivered
        /// It is not tried again.
        case failed
    }

    /// What came of it.
    public var state: State
    /// The round that is told of; 0 before the first attempt.
    public var round: Int
    /// The status that is told; empty before the first attempt.
    public var about: String
    /// How many attempts were begun.
    public var attempts: Int
    /// The status code of the last answer.
    public var answer: Int?
    /// What went wrong at the last attempt, for the job's owner.
    public var error: String?
    /// When the receiver took it.
    public var deliveredAt: Timestamp?
    /// When something should have happened at the latest, while it is pending.
    public var nextAt: Timestamp?

    /// Makes a callback; the defaults are those of one of which nothing was told.
    public init(
        state: State = .pending, round: Int = 0, about: String = "", attempts: Int = 0, answer: Int? = nil,
        error: String? = nil, deliveredAt: Timestamp? = nil, nextAt: Timestamp? = nil
    ) {
        self.state = state
        self.round = round
        self.about = about
        self.attempts = attempts
        self.answer = answer
        self.error = error
        self.deliveredAt = deliveredAt
        self.nextAt = nextAt
    }
}
