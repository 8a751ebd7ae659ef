internal import FoundationEssentials

/// Verifies JSON Web Tokens (RFC 7519) in compact form. A value without I/O and clock.
///
/// What a key may be used for is the key's own: a token whose `alg` is another than that of the key it names is refused,
/// so neither `none` nor a public key taken for a secret gets anywhere (RFC 8725 sections 3.1 and 3.2).
public struct TokenVerifier: Sendable {
    /// The longest token.
    public static let maxTokenBytes = 8192

    /// `iss` must be this, where given.
    public var issuer: String?
    /// `aud` must be or hold this, where given. A token that has an audience is refused where none is given.
    public var audience: String?
    /// By how much clocks may differ, for `exp` and `nbf`, in milliseconds.
    public var leewayMs: Int64
    /// A claim whose values are wanted.
    public var wantedClaim: String?

    /// Makes a verifier.
    public init(
        issuer: String? = nil, audience: String? = nil, leewayMs: Int64 = 30_000, wantedClaim: String? = nil
    ) {
        self.issuer = issuer
        self.audience = audience
        self.leewayMs = leewayMs
        self.wantedClaim = wantedClaim
    }

    private struct Header: Decodable {
        let alg: String
        let kid: String?
        let crit: [String]?
    }

    private struct Name: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }

        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    /// Verifies a token.
    ///
    /// - Parameters:
    ///   - token: The token.
    ///   - keys: The keys.
    ///   - nowMs: The time, milliseconds since 1970.
    /// - Returns: What it says.
    /// - Throws: ``TokenError``; `unknownKey` when the keys may have changed since.
    public func verify(_ token: String, keys: TokenKeySet, nowMs: Int64) throws(TokenError) -> TokenClaims {
        let malformed = TokenError(.malformed, "It is no signed JSON Web Token.")
        guard token.utf8.count <= TokenVerifier.maxTokenBytes else { throw malformed }
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let head = Base64URL.decode(parts[0]), let body = Base64URL.decode(parts[1]),
            let signature = Base64URL.decode(parts[2]),
            let header = try? JSONDecoder().decode(Header.self, from: Data(head))
        else { throw malformed }
        // None is understood here (RFC 7515 section 4.1.11).
        guard header.crit == nil else { throw TokenError(.malformed, "It asks for extensions that are unknown here.") }
        guard let algorithm = TokenAlgorithm(rawValue: header.alg) else {
            throw TokenError(.algorithm, "Its algorithm is not accepted.")
        }
        let named = keys.keys.filter { $0.id == nil || header.kid == nil || $0.id == header.kid }
        guard !named.isEmpty else { throw TokenError(.unknownKey, "It names a key that is unknown.") }
        let candidates = named.filter { $0.algorithm == algorithm }
        guard !candidates.isEmpty else { throw TokenError(.algorithm, "Its algorithm is not accepted.") }
        let message = Array(token.utf8.prefix(parts[0].utf8.count + 1 + parts[1].utf8.count))
        guard candidates.contains(where: { $0.verify(signature, of: message) }) else {
            // Without a name it may be of a key that is not known yet.
            throw TokenError(header.kid == nil ? .unknownKey : .signature, "Its signature is wrong.")
        }
        return try claims(body, nowMs: nowMs)
    }

    private func claims(_ body: [UInt8], nowMs: Int64) throws(TokenError) -> TokenClaims {
        guard let claims = try? JSONDecoder().decode(Claims.self, from: Data(body)) else {
            throw TokenError(.malformed, "Its claims cannot be read.")
        }
        let container = claims.container
        guard let subject = try? container.decode(String.self, forKey: Name(stringValue: "sub")),
            (1...256).contains(subject.utf8.count),
            subject.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F })
        else { throw TokenError(.subject, "It does not say whose it is (sub).") }
        guard let expiry = try time("exp", in: container) else {
            throw TokenError(.malformed, "It does not say when it ends (exp).")
        }
        guard nowMs < expiry + leewayMs else { throw TokenError(.expired, "The token has expired.") }
        if let start = try time("nbf", in: container), nowMs + leewayMs < start {
            throw TokenError(.notYetValid, "The token is not valid yet.")
        }
        if let issuer {
            let given = try? container.decode(String.self, forKey: Name(stringValue: "iss"))
            guard given == issuer else { throw TokenError(.issuer, "It is of another issuer.") }
        }
        if container.contains(Name(stringValue: "aud")) || audience != nil {
            guard let audience, texts("aud", in: container).contains(audience) else {
                throw TokenError(.audience, "It is for another audience.")
            }
        }
        let values = wantedClaim.map { texts($0, in: container, splitting: true) } ?? []
        return TokenClaims(subject: subject, expiresAtMs: expiry, values: values)
    }

    /// A time in milliseconds; they are sent as seconds, also with fractions.
    private func time(_ name: String, in container: KeyedDecodingContainer<Name>) throws(TokenError) -> Int64? {
        guard container.contains(Name(stringValue: name)) else { return nil }
        guard let seconds = try? container.decode(Double.self, forKey: Name(stringValue: name)),
            (0...100_000_000_000).contains(seconds)
        else { throw TokenError(.malformed, "Its times cannot be read (\(name)).") }
        return Int64(seconds * 1000)
    }

    private func texts(
        _ name: String, in container: KeyedDecodingContainer<Name>, splitting: Bool = false
    ) -> [String] {
        let key = Name(stringValue: name)
        if let text = try? container.decode(String.self, forKey: key) {
            return splitting ? text.split(separator: " ").map(String.init) : [text]
        }
        return (try? container.decode([String].self, forKey: key)) ?? []
    }

    private struct Claims: Decodable {
        let container: KeyedDecodingContainer<Name>

        init(from decoder: any Decoder) throws {
            container = try decoder.container(keyedBy: Name.self)
        }
    }
}
