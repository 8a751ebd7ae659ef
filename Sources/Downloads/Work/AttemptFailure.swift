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
                code: ErrorClass.timeout.rawValue, message: Self.timeLimitMessage)
            self = isLast ? .final(failure) : .retryable(failure)
        } else {
            let failure = JobFailure(code: ErrorClass(of: error).rawValue, message: Self.message(error))
            // Invalid input stays invalid.
            let isFinal = isLast || error is Permanent || failure.code == ErrorClass.validation.rawValue
            self = isFinal ? .final(failure) : .retryable(failure)
        }
    }

    /// What the owner may read. The texts of other errors may name hosts and commands; those are for the log.
    private static func message(_ error: any Error) -> String {
        switch error {
        case let error as Permanent: error.message
        case let error as RetryAfter: error.message
        case let error as ArchiveError: error.message
        default: message(ErrorClass(of: error))
        }
    }

    private static func message(_ errorClass: ErrorClass) -> String {
        switch errorClass {
        case .network: "A store could not be reached."
        case .timeout: "A store did not answer in time."
        case .storage: "A store could not do what was needed."
        case .validation, .unknown: "The archive could not be made."
        }
    }

    private static let timeLimitMessage = "The attempt took longer than its time limit."

    /// What the owner may read when the queue has given the job up, from the reason that the queue keeps. Its text is
    /// for operators; only its class, when it begins with one, is told on.
    static func failure(queueReason: String) -> JobFailure {
        if queueReason.hasPrefix("job stalled") {
            return JobFailure(code: ErrorClass.unknown.rawValue, message: "The job's workers were lost too often.")
        }
        let errorClass = ErrorClass(rawValue: String(queueReason.prefix { $0 != ":" })) ?? .unknown
        return JobFailure(
            code: errorClass.rawValue, message: errorClass == .timeout ? timeLimitMessage : message(errorClass))
    }
}
