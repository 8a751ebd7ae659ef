public import FunctionKit

/// What went wrong in the history store.
///
/// Two errors are compared by their codes. Messages hold no values of rows.
public struct HistoryError: Error, ClassifiedError, Sendable {
    /// The kind of failure.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        private enum Kind: String {
            case duplicate
            case overloaded
            case timeout
            case busy
            case full
            case unreachable
            case closed
            case newerSchema = "newer schema"
            case corrupt
            case failed
        }

        private let kind: Kind

        private init(_ kind: Kind) { self.kind = kind }

        /// A job of that id exists; nothing was written.
        public static let duplicate = Code(.duplicate)
        /// Too many calls are waiting already; this one was not begun.
        public static let overloaded = Code(.overloaded)
        /// The deadline passed; a change may still be written later.
        public static let timeout = Code(.timeout)
        /// Another process held the write lock too long; nothing was written.
        public static let busy = Code(.busy)
        /// The disk or the quota is full; nothing was written.
        public static let full = Code(.full)
        /// The server cannot be reached, or went away before it answered; a change may have been written.
        public static let unreachable = Code(.unreachable)
        /// The store was closed by its owner; the call was not begun.
        public static let closed = Code(.closed)
        /// The store was written by a newer version, whose tables this one does not know.
        public static let newerSchema = Code(.newerSchema)
        /// The file is not a database, or a row holds what it cannot hold.
        public static let corrupt = Code(.corrupt)
        /// Anything else that the database refused; nothing was written.
        public static let failed = Code(.failed)

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
    ///   - message: What happened, without values of rows.
    ///   - cause: The error underneath.
    public init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    /// The kind and the message.
    public var description: String { "history: \(code): \(message)" }

    /// The class under which the error is counted.
    public var errorClass: ErrorClass {
        switch code {
        case .timeout: .timeout
        case .duplicate: .validation
        default: .storage
        }
    }

    /// Whether the store cannot commit for now, which is so for everything but a duplicate, and a single row that cannot
    /// be read: no other fares worse for it.
    public var isUnavailable: Bool { code != .duplicate && (code != .corrupt || cause != nil) }
}

extension HistoryError: Equatable {
    /// Whether the codes are the same.
    public static func == (a: HistoryError, b: HistoryError) -> Bool { a.code == b.code }
}
