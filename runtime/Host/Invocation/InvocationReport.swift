/// What came of one invocation, told when its caller has the answer.
public struct InvocationReport: Sendable {
    /// How it ended.
    public enum Outcome: Sendable, Hashable {
        /// The client got this status; 499 when it left before.
        case status(Int)
        /// The handler returned.
        case completed
        /// The handler threw.
        case failed
        /// It ran past its timeout.
        case timedOut
        /// It was cancelled: at shutdown, when its lock was lost, or at the end of a swapped version's grace.
        case cancelled
        /// It found no place.
        case saturated
    }

    /// The function's name, or `nil` for a request that leads to none.
    public let function: String?
    /// The request's or the job's id.
    public let requestID: String
    /// Method and path of a request.
    public let request: String?
    /// How it ended.
    public let outcome: Outcome
    /// The attempt of a job, from 1.
    public let attempt: Int
    /// How long it waited for a place.
    public let waited: Duration
    /// How long it ran.
    public let ran: Duration
    /// Whether it was the first one of its module in this process, or `nil` when no handler was called.
    public let isCold: Bool?

    /// Makes a report.
    public init(
        function: String?, requestID: String, request: String? = nil, outcome: Outcome, attempt: Int = 1,
        waited: Duration = .zero, ran: Duration = .zero, isCold: Bool? = nil
    ) {
        self.function = function
        self.requestID = requestID
        self.request = request
        self.outcome = outcome
        self.attempt = attempt
        self.waited = waited
        self.ran = ran
        self.isCold = isCold
    }

    /// Takes reports, on any thread; it must not block.
    public typealias Observer = @Sendable (InvocationReport) -> Void
}
