public import FunctionKit

/// What went wrong inside the download domain. Two errors are compared by their codes.
public struct DownloadsError: Error, ClassifiedError, Sendable, Equatable {
    /// The kind of failure.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        private enum Kind: String {
            case corruptRecord = "corrupt record"
            case lostClaim = "lost claim"
            case stillActive = "still active"
            case watchLost = "watch lost"
        }

        private let kind: Kind

        private init(_ kind: Kind) { self.kind = kind }

        /// A record in Redis does not hold what a record holds.
        public static let corruptRecord = Code(.corruptRecord)
        /// The job was given to another worker, belongs to a newer round, or was finished by someone else.
        public static let lostClaim = Code(.lostClaim)
        /// A worker holds the job although its round has ended.
        public static let stillActive = Code(.stillActive)
        /// A watch cannot go on; its watcher is to come back.
        public static let watchLost = Code(.watchLost)

        /// The kind in words.
        public var description: String { kind.rawValue }
    }

    /// The kind of failure.
    public let code: Code
    /// What happened.
    public let message: String

    /// Makes an error.
    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The kind and the message.
    public var description: String { "downloads: \(code): \(message)" }

    /// The class under which the error is counted.
    public var errorClass: ErrorClass { code == .corruptRecord ? .storage : .unknown }

    /// Whether the caller is to come back.
    public var isUnavailable: Bool { code == .watchLost }

    /// Whether the codes are the same.
    public static func == (a: DownloadsError, b: DownloadsError) -> Bool { a.code == b.code }
}
