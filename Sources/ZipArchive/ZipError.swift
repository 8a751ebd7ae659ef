/// Why a member or an archive cannot be written.
public struct ZipError: Error, Sendable, CustomStringConvertible {
    /// What went wrong.
    public struct Code: Sendable, Hashable {
        private enum Value: Hashable {
            case memberTooShort
            case memberTooLong
            case checksumMismatch
            case invalidName
            case tooManyParts
            case tooManyMembers
        }

        private let value: Value

        /// A member ended before its announced size.
        public static var memberTooShort: Code { Code(value: .memberTooShort) }
        /// More bytes came than a member's announced size.
        public static var memberTooLong: Code { Code(value: .memberTooLong) }
        /// A member's bytes do not have the CRC-32 that was announced.
        public static var checksumMismatch: Code { Code(value: .checksumMismatch) }
        /// A name is empty or longer than 65 535 bytes.
        public static var invalidName: Code { Code(value: .invalidName) }
        /// The archive does not fit into the allowed number of parts.
        public static var tooManyParts: Code { Code(value: .tooManyParts) }
        /// The central directory would be larger than 1 GiB.
        public static var tooManyMembers: Code { Code(value: .tooManyMembers) }
    }

    /// What went wrong.
    public let code: Code
    /// A sentence about it, safe to show to a caller.
    public let message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The message.
    public var description: String { message }
}
