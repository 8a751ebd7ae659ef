public import FunctionKit

/// What went wrong between this process and Redis.
///
/// Two errors are compared by their codes.
public struct RedisError: Error, ClassifiedError, Sendable {
    /// The kind of failure.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        private enum Kind: String {
            case connection
            case timeout
            case server
            case protocolViolation = "protocol violation"
            case closed
            case configuration
            case overloaded
            case cancelled
        }

        private let kind: Kind

        private init(_ kind: Kind) { self.kind = kind }

        /// No connection could be made within the deadline, or it was lost; a command that was sent may have run.
        public static let connection = Code(.connection)
        /// No reply came within the deadline; the command may have run.
        public static let timeout = Code(.timeout)
        /// The server answered with an error, whose text is the message.
        public static let server = Code(.server)
        /// What the peer sent is not RESP2 or is beyond a bound; the connection was closed.
        public static let protocolViolation = Code(.protocolViolation)
        /// The client or the connection was closed by its owner.
        public static let closed = Code(.closed)
        /// A URL or an option is wrong.
        public static let configuration = Code(.configuration)
        /// Too many commands are waiting already; this one was not sent.
        public static let overloaded = Code(.overloaded)
        /// The waiting task was cancelled, or a blocking call was interrupted; the command may have run.
        public static let cancelled = Code(.cancelled)

        /// The kind in words.
        public var description: String { kind.rawValue }
    }

    /// The kind of failure.
    public let code: Code
    /// What happened; for ``Code/server`` exactly the server's text, such as `NOGROUP No such key`.
    public let message: String
    /// The error underneath.
    public let cause: (any Error)?

    /// Makes an error.
    ///
    /// - Parameters:
    ///   - code: The kind of failure.
    ///   - message: What happened, without credentials.
    ///   - cause: The error underneath.
    public init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    /// The first word of the server's error reply, such as `NOGROUP`; `nil` for other failures.
    public var serverCode: Substring? {
        code == .server ? message.prefix { $0 != " " } : nil
    }

    /// The kind and the message.
    public var description: String {
        cause.map { "redis: \(code): \(message) (\($0))" } ?? "redis: \(code): \(message)"
    }

    /// The class under which the error is counted.
    public var errorClass: ErrorClass {
        switch code {
        case .timeout, .cancelled: .timeout
        case .connection, .closed, .overloaded: .network
        case .server, .protocolViolation: .storage
        default: .unknown
        }
    }

    /// Whether Redis is away or saturated for now; also when it says so itself (still loading, busy, failing over).
    public var isUnavailable: Bool {
        switch code {
        case .connection, .timeout, .closed, .overloaded: true
        case .server:
            switch serverCode {
            case "LOADING", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "READONLY", "OOM": true
            default: false
            }
        default: false
        }
    }
}

extension RedisError: Equatable {
    /// Whether the codes are the same.
    public static func == (a: RedisError, b: RedisError) -> Bool { a.code == b.code }
}
