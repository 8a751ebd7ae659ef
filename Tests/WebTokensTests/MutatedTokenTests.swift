import Foundation
import TestSupport
import Testing

@testable import WebTokens

@Suite("Tokens and keys that somebody changed")
struct MutatedTokenTests {
    private static let count = ProcessInfo.processInfo.environment["FERRY_SOAK"] == "1" ? 20_000 : 2_000

    @Test("a changed token is never believed")
    func tokens() async throws {
        let originals = [Fixture.secretToken, Fixture.rsaToken, Fixture.p256Token, Fixture.ed25519Token]
        let keys = TokenKeySet(
            try await TokenKeySet(pem: Fixture.rsaPEM + Fixture.p256PEM + Fixture.ed25519PEM).keys + [
                try await TokenKey(secret: Fixture.secret)
            ])
        let verifier = TokenVerifier(issuer: "issuer", audience: "ferry", wantedClaim: "scope")
        for token in originals { _ = try verifier.verify(token, keys: keys, nowMs: 1_500_000_000_000) }
        var mutator = TextMutator(
            seed: 1, corpus: originals,
            words: ["eyJhbGciOiJub25lIn0", "eyJhbGciOiJIUzI1NiJ9", "e30", "bnVsbA", "AA", "..", "W10", "_-"])
        for _ in 0..<Self.count {
            let token = String(decoding: mutator.next(), as: UTF8.self)
            if originals.contains(token) { continue }
            #expect(throws: TokenError.self, "\(token)") {
                try verifier.verify(token, keys: keys, nowMs: 1_500_000_000_000)
            }
        }
    }

    @Test("claims of any shape, rightly signed, are read or refused")
    func claims() async throws {
        let secret = try await TokenKey(secret: Fixture.secret)
        let code = try MessageCode(key: Array(Fixture.secret.utf8))
        let corpus = [
            #"{"sub":"alice","iss":"issuer","aud":["ferry"],"exp":2000000000,"nbf":1000000000,"scope":"read admin"}"#,
            #"{"sub":"bob","exp":2000000000.5,"aud":"ferry","iss":"issuer","scope":["a",1]}"#,
        ]
        let verifier = TokenVerifier(issuer: "issuer", audience: "ferry", wantedClaim: "scope")
        var heads = TextMutator(seed: 2, corpus: [#"{"alg":"HS256","typ":"JWT"}"#, #"{"alg":"HS256","kid":"a"}"#])
        var bodies = TextMutator(
            seed: 3, corpus: corpus, words: ["sub", "exp", "nbf", "aud", "1e300", "-1e300", "\"\""])
        var believed = 0
        for number in 0..<Self.count {
            let head = number % 2 == 0 ? Array(#"{"alg":"HS256"}"#.utf8) : heads.next()
            let message = "\(Base64URL.encode(head)).\(Base64URL.encode(bodies.next()))"
            let token = "\(message).\(Base64URL.encode(code.code(for: Array(message.utf8))))"
            let claims = try? verifier.verify(token, keys: TokenKeySet([secret]), nowMs: 1_500_000_000_000)
            if let claims {
                believed += 1
                #expect(!claims.subject.isEmpty && claims.expiresAtMs > 1_499_999_000_000)
            }
        }
        #expect(believed > 0)
    }

    @Test("files of keys are read or refused")
    func keyFiles() async {
        let set = #"""
            {"keys": [
              {"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "use": "sig"},
              {"kty": "EC", "crv": "P-256", "kid": "e", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
              {"kty": "RSA", "kid": "f", "n": "AQAB", "e": "AQAB"}
            ]}
            """#
        var sets = TextMutator(
            seed: 4, corpus: [set], words: ["kty", "RSA", "EC", "P-256", "Ed25519", "AQAB", "n", "e", "x"])
        var files = TextMutator(
            seed: 5, corpus: [Fixture.rsaPEM, Fixture.p256PEM, Fixture.ed25519PEM],
            words: [
                "-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----", "-----BEGIN CERTIFICATE-----", "MIIB", "==",
            ])
        for _ in 0..<Self.count {
            if let keys = try? await TokenKeySet(jwks: sets.next()) { #expect(keys.count <= TokenKeySet.maxKeyCount) }
            if let keys = try? await TokenKeySet(pem: String(decoding: files.next(), as: UTF8.self)) {
                #expect(keys.count > 0)
            }
        }
    }
}
