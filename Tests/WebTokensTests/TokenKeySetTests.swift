import Testing

@testable import WebTokens

@Suite("Keys of tokens")
struct TokenKeySetTests {
    @Test(
        "base64url has one form for each sequence of bytes",
        arguments: [
            ("", []), ("Zg", [0x66]), ("Zm8", [0x66, 0x6F]), ("Zm9v", [0x66, 0x6F, 0x6F]), ("-_8", [0xFB, 0xFF]),
        ] as [(String, [UInt8])])
    func base64URL(_ text: String, _ bytes: [UInt8]) {
        #expect(Base64URL.decode(text) == bytes)
        #expect(Base64URL.encode(bytes) == text)
    }

    @Test("other forms are refused", arguments: ["Zg==", "Z", "Zh", "Zm9=", "Zm 8", "+/8", "Zm9vZ", "é"])
    func badBase64URL(_ text: String) {
        #expect(Base64URL.decode(text) == nil)
    }

    @Test("a secret has at least 32 bytes")
    func shortSecret() async throws {
        await #expect(throws: TokenError.self) { try await TokenKey(secret: String(repeating: "s", count: 31)) }
        #expect(try await TokenKey(secret: String(repeating: "s", count: 32)).algorithm == .hs256)
    }

    @Test("each kind of public key is for one algorithm")
    func kinds() async throws {
        let keys = try await TokenKeySet(pem: Fixture.rsaPEM + Fixture.p256PEM + Fixture.ed25519PEM).keys
        #expect(keys.map(\.algorithm) == [.rs256, .es256, .edDSA])
        #expect(keys.allSatisfy { $0.id == nil })
    }

    @Test("a set in JSON leaves out what it cannot use, and secrets")
    func webKeys() async throws {
        let set = try await TokenKeySet(
            jwks: Array(
                """
                {"keys": [
                  {"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
                  {"kty": "oct", "kid": "b", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75"},
                  {"kty": "OKP", "crv": "Ed25519", "kid": "c", "use": "enc", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
                  {"kty": "OKP", "crv": "Ed25519", "kid": "d", "alg": "RS256", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
                  {"kty": "EC", "crv": "P-256", "kid": "e", "x": "AAAA", "y": "AAAA"},
                  {"kty": "RSA", "kid": "f", "n": "AQAB", "e": "AQAB"},
                  {"kty": 7}, "text"
                ]}
                """.utf8))
        #expect(set.keys.map(\.id) == ["a"])
        await #expect(throws: TokenError.self) { try await TokenKeySet(jwks: Array("[]".utf8)) }
        let many = (0..<101).map { _ in #"{"kty":"oct"}"# }.joined(separator: ",")
        await #expect(throws: TokenError.self) { try await TokenKeySet(jwks: Array(#"{"keys":[\#(many)]}"#.utf8)) }
    }

    @Test("a file without a whole public key is refused", arguments: ["", "-----BEGIN PUBLIC KEY-----\nAAAA\n", "x"])
    func badPEM(_ text: String) async {
        await #expect(throws: TokenError.self) { try await TokenKeySet(pem: text) }
        await #expect(throws: TokenError.self) { try await TokenKeySet(pem: text + "-----END PUBLIC KEY-----\n") }
    }
}
