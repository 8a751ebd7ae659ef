public import FunctionKit

/// A piece of the emulator could not do its work.
public struct EmulatorError: Error, ClassifiedError {
    /// What went wrong.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        private enum Value: String {
            case missingBinary = "missing_binary"
            case unsupportedVersion = "unsupported_version"
            case startFailed = "start_failed"
            case locked
            case addressInUse = "address_in_use"
            case file
        }

        private let value: Value

        /// The server's program is not installed.
        public static let missingBinary = Code(value: .missingBinary)
        /// The server that was found is too old.
        public static let unsupportedVersion = Code(value: .unsupportedVersion)
        /// A server was started and did not become ready.
        public static let startFailed = Code(value: .startFailed)
        /// Another process holds a lock for too long.
        public static let locked = Code(value: .locked)
        /// Something else listens on the configured port.
        public static let addressInUse = Code(value: .addressInUse)
        /// A file or folder of the data directory cannot be used.
        public static let file = Code(value: .file)

        /// The code as text.
        public var description: String { value.rawValue }
    }

    /// What went wrong.
    public let code: Code
    /// A sentence for whoever started the process, with what to do about it.
    public let message: String
    /// The error underneath.
    public let cause: (any Error)?

    init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    /// The message and, where there is one, its cause.
    public var description: String { cause.map { "\(message) (\($0))" } ?? message }

    /// Counted as a failure of storage.
    public var errorClass: ErrorClass { .storage }

    /// The stores of the emulator are away until the cause is removed.
    public var isUnavailable: Bool { true }
}
