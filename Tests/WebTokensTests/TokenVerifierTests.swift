import Testing

@testable import WebTokens

@Suite("Tokens")
struct TokenVerifierTests {
    private static let now: Int64 = 1_500_000_000_000
    private static let verifier = TokenVerifier(issuer: "issuer", audience: "ferry", leewayMs: 30_000)

    private static func keys() async throws -> TokenKeySet {
        let published = try await TokenKeySet(pem: Fixture.rsaPEM + Fixture.p256PEM + Fixture.ed25519PEM)
        return TokenKeySet(published.keys + [try await TokenKey(secret: Fixture.secret)])
    }

    private static func code(
        _ token: String, _ keys: TokenKeySet, verifier: TokenVerifier = verifier, at nowMs: Int64 = now
    ) -> TokenError.Code? {
        do throws(TokenError) {
            _ = try verifier.verify(token, keys: keys, nowMs: nowMs)
            return nil
        } catch {
            return error.code
        }
    }

    /// A token of the secret's with other contents.
    private static func token(_ header: String, _ claims: String, secret: String = Fixture.secret) throws -> String {
        let signed = "\(Base64URL.encode(header.utf8)).\(Base64URL.encode(claims.utf8))"
        let code = try MessageCode(key: Array(secret.utf8)).code(for: Array(signed.utf8))
        return "\(signed).\(Base64URL.encode(code))"
    }

    @Test(
        "PyJWT's tokens of every algorithm are believed",
        arguments: [Fixture.secretToken, Fixture.rsaToken, Fixture.p256Token, Fixture.ed25519Token])
    func good(_ token: String) async throws {
        var verifier = Self.verifier
        verifier.wantedClaim = "scope"
        let claims = try verifier.verify(token, keys: await Self.keys(), nowMs: Self.now)
        #expect(claims == TokenClaims(subject: "alice", expiresAtMs: 2_000_000_000_000, values: ["read", "admin"]))
    }

    @Test(
        "a change of any part is noticed",
        arguments: [Fixture.secretToken, Fixture.rsaToken, Fixture.p256Token, Fixture.ed25519Token])
    func changed(_ token: String) async throws {
        let keys = try await Self.keys()
        let bytes = Array(token.utf8)
        for index in stride(from: 0, to: bytes.count, by: 7) where bytes[index] != UInt8(ascii: ".") {
            var other = bytes
            other[index] = other[index] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
            #expect(Self.code(String(decoding: other, as: UTF8.self), keys) != nil, "byte \(index)")
        }
    }

    @Test("the time of a token is held to, with the leeway")
    func times() async throws {
        let keys = try await Self.keys()
        #expect(Self.code(Fixture.rsaToken, keys, at: 2_000_000_029_999) == nil)
        #expect(Self.code(Fixture.rsaToken, keys, at: 2_000_000_030_000) == .expired)
        #expect(Self.code(Fixture.rsaToken, keys, at: 999_999_970_000) == nil)
        #expect(Self.code(Fixture.rsaToken, keys, at: 999_999_969_999) == .notYetValid)
    }

    @Test("issuer and audience must be the expected ones")
    func parties() async throws {
        let keys = try await Self.keys()
        #expect(Self.code(Fixture.rsaToken, keys, verifier: TokenVerifier(issuer: "x", audience: "ferry")) == .issuer)
        #expect(Self.code(Fixture.rsaToken, keys, verifier: TokenVerifier(audience: "x")) == .audience)
        // It is for others, and nobody says that this is one of them (RFC 7519 section 4.1.3).
        #expect(Self.code(Fixture.rsaToken, keys, verifier: TokenVerifier()) == .audience)
        #expect(Self.code(Fixture.rsaToken, keys, verifier: TokenVerifier(audience: "other")) == nil)
    }

    @Test("a key is for its own algorithm only")
    func confusion() async throws {
        let published = try await TokenKeySet(pem: Fixture.rsaPEM)
        let claims = #"{"sub":"alice","exp":2000000000}"#
        let confused = try Self.token(#"{"alg":"HS256"}"#, claims, secret: Fixture.rsaPEM)
        #expect(Self.code(confused, published, verifier: TokenVerifier()) == .algorithm)
        #expect(Self.code(Fixture.p256Token, published) == .algorithm)
        for name in ["none", "None", "NONE", "HS384", "RS512", "PS256", "ES384", ""] {
            let token = try Self.token(#"{"alg":"\#(name)"}"#, claims)
            let unsigned = token.prefix { $0 != "." } + "." + token.split(separator: ".")[1] + "."
            #expect(Self.code(token, try await Self.keys(), verifier: TokenVerifier()) == .algorithm)
            #expect(Self.code(String(unsigned), try await Self.keys(), verifier: TokenVerifier()) == .algorithm)
        }
    }

    @Test("a key that is not there is told from a wrong signature")
    func unknownKey() async throws {
        let jwks =
            #"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"KID","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#
        let other = try await TokenKeySet(jwks: Array(jwks.replacing("KID", with: "other").utf8))
        #expect(Self.code(Fixture.ed25519Token, other) == .unknownKey)
        let same = try await TokenKeySet(jwks: Array(jwks.replacing("KID", with: "ed25519").utf8))
        #expect(Self.code(Fixture.ed25519Token, same) == .signature)
        #expect(Self.code(Fixture.ed25519Token, TokenKeySet([])) == .unknownKey)
    }

    @Test(
        "claims that are missing or of a wrong form are refused",
        arguments: [
            (#"{"exp":2000000000}"#, .subject), (#"{"sub":"","exp":2000000000}"#, .subject),
            (#"{"sub":7,"exp":2000000000}"#, .subject), (#"{"sub":"a\nb","exp":2000000000}"#, .subject),
            (#"{"sub":"a"}"#, .malformed), (#"{"sub":"a","exp":"2000000000"}"#, .malformed),
            (#"{"sub":"a","exp":1e300}"#, .malformed), (#"{"sub":"a","exp":-1}"#, .malformed),
            (#"{"sub":"a","exp":2000000000,"nbf":"x"}"#, .malformed), ("[]", .malformed), ("{", .malformed),
        ] as [(String, TokenError.Code)])
    func claims(_ claims: String, _ code: TokenError.Code) async throws {
        let token = try Self.token(#"{"alg":"HS256"}"#, claims)
        #expect(Self.code(token, try await Self.keys(), verifier: TokenVerifier()) == code)
    }

    @Test(
        "what is no token is refused",
        arguments: ["", ".", "..", "a.b", "a.b.c.d", "e30.e30.", "x y.z.w", String(repeating: "a", count: 9000)])
    func malformed(_ token: String) async throws {
        #expect(Self.code(token, try await Self.keys()) == .malformed)
    }

    @Test("extensions that must be understood are refused")
    func critical() async throws {
        let token = try Self.token(#"{"alg":"HS256","crit":["b64"],"b64":false}"#, #"{"sub":"a","exp":2000000000}"#)
        #expect(Self.code(token, try await Self.keys(), verifier: TokenVerifier()) == .malformed)
    }
}
