internal import JWTKit

/// One key that tokens are verified with. It is for one algorithm, which its kind decides and not the token.
public struct TokenKey: Sendable {
    /// The one algorithm that it is for.
    let algorithm: TokenAlgorithm
    /// The name under which tokens name it (`kid`), or `nil` when it has none.
    public let id: String?
    private let verifier: any JWTAlgorithm

    /// A shared secret, for HS256.
    ///
    /// - Throws: ``TokenError`` with code `badKey` when it has less than 32 bytes.
    public init(secret: String) async throws(TokenError) {
        guard secret.utf8.count >= MessageCode.minimumKeyBytes else {
            throw TokenError(.badKey, "A secret must have \(MessageCode.minimumKeyBytes) bytes or more.")
        }
        let keys = JWTKeyCollection()
        await keys.add(hmac: HMACKey(from: secret), digestAlgorithm: .sha256)
        try await self.init(.hs256, of: keys, id: nil)
    }

    /// A public key as PEM.
    ///
    /// - Throws: ``TokenError`` with code `badKey` for what is none, and for a kind of key that no algorithm here is for.
    init(pem text: String) async throws(TokenError) {
        let keys = JWTKeyCollection()
        let algorithm: TokenAlgorithm
        if let key = try? Insecure.RSA.PublicKey(pem: text) {
            await keys.add(rsa: key, digestAlgorithm: .sha256)
            algorithm = .rs256
        } else if let key = try? ES256PublicKey(pem: text) {
            await keys.add(ecdsa: key)
            algorithm = .es256
        } else if let key = try? EdDSA.PublicKey(pem: text) {
            await keys.add(eddsa: key)
            algorithm = .edDSA
        } else {
            throw TokenError(.badKey, "A public key must be RSA of 2048 bits or more, P-256 or Ed25519.")
        }
        try await self.init(algorithm, of: keys, id: nil)
    }

    /// A public key of a JWK Set. Of one that holds a private key too, only the public one is read.
    ///
    /// - Throws: ``TokenError`` with code `badKey` when it is none that tokens are verified with here.
    init(_ key: JWK) async throws(TokenError) {
        let keys = JWTKeyCollection()
        let algorithm: TokenAlgorithm
        do {
            switch (key.keyType, key.curve) {
            case (.rsa, _):
                let key = try Insecure.RSA.PublicKey(
                    modulus: try Self.text(key.modulus), exponent: try Self.text(key.exponent))
                await keys.add(rsa: key, digestAlgorithm: .sha256)
                algorithm = .rs256
            case (.ecdsa, .ecdsa(.p256)?):
                await keys.add(ecdsa: try ES256PublicKey(parameters: (try Self.text(key.x), try Self.text(key.y))))
                algorithm = .es256
            case (.octetKeyPair, .eddsa(.ed25519)?):
                await keys.add(eddsa: try EdDSA.PublicKey(x: try Self.text(key.x), curve: .ed25519))
                algorithm = .edDSA
            default: throw TokenError(.badKey, "It is of another kind.")
            }
        } catch {
            throw TokenError(.badKey, "It is no public key that tokens are verified with here.")
        }
        guard key.algorithm.map({ $0.rawValue == algorithm.rawValue }) != false else {
            throw TokenError(.badKey, "It is for another algorithm.")
        }
        try await self.init(algorithm, of: keys, id: key.keyIdentifier?.string)
    }

    /// Takes what verifies out of a collection that holds it alone. The collection itself is an actor, and takes another
    /// key for one that it does not know.
    private init(_ algorithm: TokenAlgorithm, of keys: JWTKeyCollection, id: String?) async throws(TokenError) {
        guard let verifier = try? await keys.getKey(), verifier.name == algorithm.rawValue else {
            throw TokenError(.badKey, "The key cannot be used.")
        }
        self.algorithm = algorithm
        self.verifier = verifier
        self.id = id
    }

    /// A member of a key: base64url, of a length that keys have.
    private static func text(_ member: String?) throws(TokenError) -> String {
        guard let member, member.utf8.count <= 2048, Base64URL.decode(member) != nil else {
            throw TokenError(.badKey, "It lacks a member, or one is malformed.")
        }
        return member
    }

    func verify(_ signature: [UInt8], of message: [UInt8]) -> Bool {
        // It throws for what has not even the form of a signature.
        (try? verifier.verify(signature, signs: message)) ?? false
    }
}
