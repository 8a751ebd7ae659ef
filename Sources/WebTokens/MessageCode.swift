internal import Crypto

/// HMAC-SHA-256 (RFC 2104) with one key.
public struct MessageCode: Sendable {
    /// The fewest bytes of a key: those of the digest (RFC 7518 section 3.2).
    public static let minimumKeyBytes = 32

    private let key: SymmetricKey

    /// Takes a key.
    ///
    /// - Throws: ``TokenError`` with code `badKey` when it has less than ``minimumKeyBytes`` bytes.
    public init(key: [UInt8]) throws(TokenError) {
        guard key.count >= MessageCode.minimumKeyBytes else {
            throw TokenError(.badKey, "A secret must have \(MessageCode.minimumKeyBytes) bytes or more.")
        }
        self.key = SymmetricKey(data: key)
    }

    /// The code of a message, 32 bytes.
    public func code(for message: [UInt8]) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: message, using: key))
    }

    /// Whether this is the code of a message; takes as long whatever differs.
    public func verify(_ code: [UInt8], of message: [UInt8]) -> Bool {
        HMAC<SHA256>.isValidAuthenticationCode(code, authenticating: message, using: key)
    }
}
