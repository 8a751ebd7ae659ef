internal import BullQueue
internal import FunctionKit

extension InvocationError {
    /// What a job is told when its attempt ends so, and what follows.
    ///
    /// The text of an unknown error may tell internals: it goes to the log, not to the job.
    func attemptFailure(timeout: Duration) -> (reason: String, retry: BullOutcome.Retry) {
        switch self {
        case .cancelled, .saturated: (description, .policy)
        case .timedOut: ("\(ErrorClass.timeout.rawValue): the attempt took longer than \(timeout)", .policy)
        case .handler(let error as Permanent): (error.message, .never)
        case .handler(let error as RetryAfter): (error.message, .after(error.delay))
        case .handler(let error as HTTPError): (error.message, .policy)
        case .handler(let error as any ClassifiedError): (error.description, .policy)
        case .handler(let error): ("\(ErrorClass(of: error).rawValue): the handler failed", .policy)
        }
    }
}
