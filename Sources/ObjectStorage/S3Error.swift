public import FunctionKit

/// What went wrong with an object store.
///
/// Its description names the operation, the status and S3's code, and never a URL, a signature or a credential; what
/// the store itself wrote is in the debug description alone.
public struct S3Error: ClassifiedError, CustomDebugStringConvertible {
    /// The kinds of failure.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        private enum Kind: String { case configuration, invalidArgument, transport, timeout, rejected, invalidResponse }
        private let kind: Kind

        /// The configuration or the credentials are wrong or missing.
        public static let configuration = Code(kind: .configuration)
        /// An argument is out of its range; nothing was sent.
        public static let invalidArgument = Code(kind: .invalidArgument)
        /// The store could not be reached, or the connection broke.
        public static let transport = Code(kind: .transport)
        /// The deadline passed without progress.
        public static let timeout = Code(kind: .timeout)
        /// The store answered with an error; see ``S3Error/status`` and ``S3Error/s3Code``.
        public static let rejected = Code(kind: .rejected)
        /// The store's answer is not one that S3 gives.
        public static let invalidResponse = Code(kind: .invalidResponse)

        /// The name of the kind.
        public var description: String { kind.rawValue }
    }

    /// The kind of failure.
    public let code: Code
    /// What failed, safe to show.
    public let message: String
    /// The status of the answer, where there was one. 200 is possible: completing an upload may fail inside a 200.
    public let status: Int?
    /// S3's own code, for example `NoSuchBucket`.
    public let s3Code: String?
    /// S3's own message.
    public let detail: String?
    /// The error beneath.
    public let cause: (any Error)?

    init(
        _ code: Code, _ message: String, status: Int? = nil, s3Code: String? = nil, detail: String? = nil,
        cause: (any Error)? = nil
    ) {
        self.code = code
        self.message = message
        self.status = status
        self.s3Code = s3Code
        self.detail = detail
        self.cause = cause
    }

    /// The message.
    public var description: String { message }

    /// The message with what the store wrote and the error beneath.
    public var debugDescription: String {
        ([message] + [detail].compactMap { $0 } + [cause].compactMap { $0.map { "\($0)" } }).joined(separator: " | ")
    }

    /// The class under which the error is counted.
    public var errorClass: ErrorClass {
        switch code {
        case .configuration, .invalidArgument: .validation
        case .transport: .network
        case .timeout: .timeout
        default: .storage
        }
    }

    /// Whether the store is away or saturated for now.
    public var isUnavailable: Bool { isTransient }

    /// Whether the same request may succeed a little later. `RequestTimeout` is S3's word for a connection that idled.
    var isTransient: Bool {
        switch code {
        case .transport, .timeout: return true
        case .rejected:
            if let s3Code, S3Error.transientCodes.contains(s3Code) { return true }
            return [429, 500, 502, 503, 504].contains(status)
        default: return false
        }
    }

    private static let transientCodes: Set<String> = [
        "SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout", "Throttling", "ThrottlingException",
    ]
}
