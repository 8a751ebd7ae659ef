/// Why a token is refused, or why a key cannot be used.
public struct TokenError: Error, Sendable, CustomStringConvertible {
    /// The kinds of reason.
    public struct Code: Sendable, Hashable {
        private enum Value: Hashable {
            case malformed
            case algorithm
            case unknownKey
            case signature
            case expired
            case notYetValid
            case issuer
            case audience
            case subject
            case badKey
        }

        private let value: Value

        /// It is no signed token in compact form (RFC 7515 section 3.1), or lacks a claim that is needed.
        public static let malformed = Code(value: .malformed)
        /// Its algorithm is none that a key here is for; `none` never is.
        public static let algorithm = Code(value: .algorithm)
        /// It names a key that is not there; it may be there after a look at the source of keys.
        public static let unknownKey = Code(value: .unknownKey)
        /// The signature is not one of the key's.
        public static let signature = Code(value: .signature)
        /// Its time is over.
        public static let expired = Code(value: .expired)
        /// Its time has not begun.
        public static let notYetValid = Code(value: .notYetValid)
        /// It is another issuer's.
        public static let issuer = Code(value: .issuer)
        /// It is for someone else.
        public static let audience = Code(value: .audience)
        /// It does not say whose it is.
        public static let subject = Code(value: .subject)
        /// A key or a set of keys cannot be used.
        public static let badKey = Code(value: .badKey)
    }

    /// The kind of reason.
    public let code: Code
    /// A sentence that the token's sender may read: it holds nothing of the token, nor of the keys.
    public let message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The sentence.
    public var description: String { message }
}
