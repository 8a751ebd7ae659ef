public import FunctionKit

/// Why an attempt at an archive failed; a further attempt may succeed.
public struct ArchiveError: Error, ClassifiedError {
    /// What went wrong.
    public struct Code: Sendable, Hashable {
        private enum Value: Hashable {
            case fileUnreadable
            case fileTooSlow
            case fileChanged
            case fileDamaged
            case archiveNotStored
        }

        private let value: Value

        /// A file could not be read to its end.
        public static var fileUnreadable: Code { Code(value: .fileUnreadable) }
        /// A file came slower than the policy allows.
        public static var fileTooSlow: Code { Code(value: .fileTooSlow) }
        /// A file was replaced while it was read, again and again.
        public static var fileChanged: Code { Code(value: .fileChanged) }
        /// A file's bytes do not have the size or checksum that the store tells.
        public static var fileDamaged: Code { Code(value: .fileDamaged) }
        /// The store does not hold the archive that was sent to it.
        public static var archiveNotStored: Code { Code(value: .archiveNotStored) }
    }

    /// What went wrong.
    public let code: Code
    /// A sentence about it, safe to show to the owner.
    public let message: String
    /// The class under which the error is counted.
    public let errorClass: ErrorClass
    /// The error behind it.
    public let cause: (any Error)?

    init(_ code: Code, _ message: String, class errorClass: ErrorClass, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.errorClass = errorClass
        self.cause = cause
    }

    /// The message.
    public var description: String { message }

    /// Whether the store behind it is away for now.
    public var isUnavailable: Bool { (cause as? any ClassifiedError)?.isUnavailable ?? false }
}
