/// An answer other than success: a handler throws it, the host sends it in the one error shape.
public struct HTTPError: Error, Sendable {
    /// One thing that is wrong with the input.
    public struct Detail: Sendable, Hashable, Codable {
        /// The field, as a path such as `file_ids[3]`; empty for the body itself.
        public let field: String
        /// What is wrong with it, such as `must be an integer`.
        public let problem: String

        /// Makes a detail.
        public init(field: String, problem: String) {
            self.field = field
            self.problem = problem
        }
    }

    /// The status of the answer.
    public var status: HTTPResponse.Status
    /// The machine-readable code, snake case, such as `not_found`.
    public var code: String
    /// A sentence that the caller may read.
    public var message: String
    /// Every problem of the input, for 400.
    public var details: [Detail]
    /// Extra header fields of the answer, such as `Retry-After`.
    public var headers: HTTPFields

    /// Makes an error.
    ///
    /// - Parameters:
    ///   - status: 400 to 599.
    ///   - code: Snake case; by default the reason phrase in that form.
    ///   - message: Shown to the caller, so it must not tell internals.
    ///   - details: What is wrong with the input, one by one.
    ///   - headers: Extra header fields of the answer.
    public init(
        _ status: HTTPResponse.Status, code: String? = nil, message: String? = nil, details: [Detail] = [],
        headers: HTTPFields = [:]
    ) {
        self.status = status
        self.code = code ?? status.reasonPhrase.lowercased().replacing(" ", with: "_").replacing("-", with: "_")
        self.message = message ?? "\(status.reasonPhrase)."
        self.details = details
        self.headers = headers
    }

    /// 400 with every problem of the input in one answer.
    public static func validation(_ details: [Detail]) -> HTTPError {
        HTTPError(
            .badRequest, code: "validation_failed", message: "The request is not valid; see details.", details: details)
    }
}

/// Fails a queue job at once, whatever attempts it has left.
public struct Permanent: Error, Sendable, ClassifiedError {
    /// The reason, stored with the job and shown to its owner.
    public let message: String
    /// The class under which the failure is counted.
    public let errorClass: ErrorClass

    /// Makes the failure.
    public init(_ message: String, class errorClass: ErrorClass = .unknown) {
        self.message = message
        self.errorClass = errorClass
    }

    /// The reason.
    public var description: String { message }
}

/// Fails the attempt of a queue job and asks for the next one after a given time instead of the job's own back-off.
public struct RetryAfter: Error, Sendable, ClassifiedError {
    /// The time until the next attempt.
    public let delay: Duration
    /// The reason, stored with the job.
    public let message: String
    /// The class under which the failure is counted.
    public let errorClass: ErrorClass

    /// Makes the failure.
    public init(_ delay: Duration, _ message: String, class errorClass: ErrorClass = .unknown) {
        self.delay = delay
        self.message = message
        self.errorClass = errorClass
    }

    /// The reason.
    public var description: String { message }
}

/// The classes into which failures are sorted, on the job and in metrics.
public enum ErrorClass: String, Sendable, Codable, CaseIterable {
    /// A peer could not be reached or closed the connection.
    case network = "network_error"
    /// A deadline passed.
    case timeout = "timeout_error"
    /// A store answered, but not with what was needed.
    case storage = "storage_error"
    /// The input is wrong; never tried again.
    case validation = "validation_error"
    /// Anything else.
    case unknown = "unknown_error"
}

/// An error that knows its class and whether its store is away.
///
/// Every adapter's error conforms, so that the host and the functions need not know the adapters.
public protocol ClassifiedError: Error, CustomStringConvertible {
    /// The class under which the error is counted.
    var errorClass: ErrorClass { get }
    /// Whether the store behind it is away or saturated for now: a route answers 503 with `Retry-After`.
    var isUnavailable: Bool { get }
}

extension ClassifiedError {
    /// Not away, unless the type says otherwise.
    public var isUnavailable: Bool { false }
}

extension ErrorClass {
    /// The class of any error.
    public init(of error: any Error) {
        switch error {
        case let error as any ClassifiedError: self = error.errorClass
        case is CancellationError: self = .timeout
        case is DecodingError: self = .validation
        case let error as HTTPError where error.status.code < 500: self = .validation
        default: self = .unknown
        }
    }
}
