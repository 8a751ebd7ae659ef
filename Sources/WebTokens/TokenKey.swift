/// One key that tokens are verified with. It is for one algorithm, which its kind decides and not the token.
public struct TokenKey: Sendable {
    private enum Material: Sendable {
        case secret(MessageCode)
        case publicKey(PublicKey)
    }

    private let material: Material
    /// The name under which tokens name it (`kid`), or `nil` when it has none.
    public let id: String?

    /// A shared secret, for HS256.
    ///
    /// - Throws: ``TokenError`` with code `badKey` when it has less than 32 bytes.
    public init(secret: String) throws(TokenError) {
        material = .secret(try MessageCode(key: Array(secret.utf8)))
        id = nil
    }

    init(subjectPublicKeyInfo bytes: [UInt8], id: String?) throws(TokenError) {
        material = .publicKey(try PublicKey(subjectPublicKeyInfo: bytes))
        self.id = id
    }

    /// The one algorithm that it is for.
    var algorithm: TokenAlgorithm {
        switch material {
        case .secret: .hs256
        case .publicKey(let key): key.algorithm
        }
    }

    func verify(_ signature: [UInt8], of message: [UInt8]) -> Bool {
        switch material {
        case .secret(let code): code.verify(signature, of: message)
        case .publicKey(let key): key.verify(signature, of: message)
        }
    }
}
