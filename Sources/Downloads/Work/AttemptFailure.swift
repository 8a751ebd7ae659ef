internal import FunctionKit

/// How an attempt ended that made no archive.
enum AttemptFailure: Sendable {
    /// The job belongs to another worker or is finished.
    case superseded
    /// The process is stopping or the lock went elsewhere: the attempt does not count.
    case interrupted
    /// The attempt failed, and a further one may succeed.
    case retryable(JobFailure)
    /// The job failed.
    case final(JobFailure)

    /// Sorts an error.
    ///
    /// - Parameters:
    ///   - error: What ended the attempt.
    ///   - isCancelled: Whether its task was cancelled.
    ///   - isPastDeadline: Whether its time was up.
    ///   - isLast: Whether there is no further attempt.
    init(_ error: any Error, isCancelled: Bool, isPastDeadline: Bool, isLast: Bool) {
        if let error = error as? DownloadsError, error == DownloadsError(.lostClaim, "") {
            self = .superseded
        } else if isCancelled, !isPastDeadline {
            self = .interrupted
        } else if isCancelled {
            let failure = JobFailure(
                code: ErrorClass.timeout.rawValue, message: "The attempt took longer than its time limit.")
            self = isLast ? .final(failure) : .retryable(failure)
        } else {
            let failure = JobFailure(code: ErrorClass(of: error).rawValue, message: Self.message(error))
            self = isLast || error is Permanent ? .final(failure) : .retryable(failure)
        }
    }

    /// What the owner may read. The texts of other errors may name hosts and commands; those are for the log.
    private static func message(_ error: any Error) -> String {
        switch error {
        case let error as Permanent: error.message
        case let error as RetryAfter: error.message
        case let error as ArchiveError: error.message
        default:
            switch ErrorClass(of: error) {
            case .network: "A store could not be reached."
            case .timeout: "A store did not answer in time."
            case .storage: "A store could not do what was needed."
            case .validation, .unknown: "The archive could not be made."
            }
        }
    }
}
