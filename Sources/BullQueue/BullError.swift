public import FunctionKit

/// What went wrong with a queue.
///
/// Two errors are compared by their codes.
public struct BullError: Error, ClassifiedError, Sendable {
    /// The kind of failure.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        private enum Kind: String {
            case invalidName = "invalid name"
            case invalidOption = "invalid option"
            case invalidJSON = "invalid JSON"
            case invalidSchedule = "invalid schedule"
            case jobMissing = "job missing"
            case wrongState = "wrong state"
            case lockLost = "lock lost"
            case childFailed = "child failed"
            case redis
        }

        private let kind: Kind

        private init(_ kind: Kind) { self.kind = kind }

        /// A queue's name, a prefix or a job's id is not allowed.
        public static let invalidName = Code(.invalidName)
        /// A number is out of its range.
        public static let invalidOption = Code(.invalidOption)
        /// What must be JSON text is not.
        public static let invalidJSON = Code(.invalidJSON)
        /// A cron pattern, a time zone or another part of a schedule cannot be read.
        public static let invalidSchedule = Code(.invalidSchedule)
        /// The job's hash is gone.
        public static let jobMissing = Code(.jobMissing)
        /// The job or the queue is not in a state that allows it.
        public static let wrongState = Code(.wrongState)
        /// Another worker has the job, or nobody has.
        public static let lockLost = Code(.lockLost)
        /// A job cannot go on since a job that it waits for has failed.
        public static let childFailed = Code(.childFailed)
        /// Redis is away or refused; the cause tells.
        public static let redis = Code(.redis)

        /// The kind in words.
        public var description: String { kind.rawValue }
    }

    /// The kind of failure.
    public let code: Code
    /// What happened.
    public let message: String
    /// The error underneath.
    public let cause: (any Error)?

    /// Makes an error.
    ///
    /// - Parameters:
    ///   - code: The kind of failure.
    ///   - message: What happened.
    ///   - cause: The error underneath.
    public init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    /// The kind, the message and the cause.
    public var description: String {
        cause.map { "queue: \(code): \(message) (\($0))" } ?? "queue: \(code): \(message)"
    }

    /// The class under which the error is counted.
    public var errorClass: ErrorClass {
        if let cause = cause as? any ClassifiedError { return cause.errorClass }
        switch code {
        case .invalidName, .invalidOption, .invalidJSON, .invalidSchedule: return .validation
        default: return .unknown
        }
    }

    /// Whether Redis is away for now.
    public var isUnavailable: Bool { (cause as? any ClassifiedError)?.isUnavailable ?? false }
}

extension BullError: Equatable {
    /// Whether the codes are the same.
    public static func == (a: BullError, b: BullError) -> Bool { a.code == b.code }
}
