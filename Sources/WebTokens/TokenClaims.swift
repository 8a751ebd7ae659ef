/// What a verified token says (RFC 7519 section 4.1).
public struct TokenClaims: Sendable, Hashable {
    /// `sub`: whose it is.
    public let subject: String
    /// `exp`: when it ends, milliseconds since 1970.
    public let expiresAtMs: Int64
    /// The values of the claim that was asked for besides: a text's words, or an array's texts.
    public let values: [String]
}
