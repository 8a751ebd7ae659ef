/// A public key in JSON (RFC 7517 section 4, RFC 7518 section 6, RFC 8037 section 2).
struct WebKey: Decodable {
    let kty: String
    let use: String?
    let alg: String?
    let kid: String?
    let crv: String?
    let n: String?
    let e: String?
    let x: String?
    let y: String?

    private static let rsaAlgorithm: [UInt8] = [
        0x30, 0x0D, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01, 0x05, 0x00,
    ]
    private static let p256Algorithm: [UInt8] = [
        0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D,
        0x03, 0x01, 0x07,
    ]
    private static let ed25519Algorithm: [UInt8] = [0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70]

    /// The key, or `nil` when it is none that tokens are verified with here.
    var tokenKey: TokenKey? {
        guard use == nil || use == "sig", let bytes = subjectPublicKeyInfo,
            let key = try? TokenKey(subjectPublicKeyInfo: bytes, id: kid),
            alg == nil || alg == key.algorithm.rawValue
        else { return nil }
        return key
    }

    private var subjectPublicKeyInfo: [UInt8]? {
        switch (kty, crv) {
        case ("RSA", _):
            guard let n = bytes(n), let e = bytes(e) else { return nil }
            return DER.sequence(
                WebKey.rsaAlgorithm, DER.bitString(DER.sequence(DER.integer(n), DER.integer(e))))
        case ("EC", "P-256"):
            guard let x = bytes(x), let y = bytes(y), x.count == 32, y.count == 32 else { return nil }
            return DER.sequence(WebKey.p256Algorithm, DER.bitString([0x04] + x + y))
        case ("OKP", "Ed25519"):
            guard let x = bytes(x), x.count == 32 else { return nil }
            return DER.sequence(WebKey.ed25519Algorithm, DER.bitString(x))
        default: return nil
        }
    }

    private func bytes(_ text: String?) -> [UInt8]? {
        text.flatMap { $0.utf8.count <= 2048 ? Base64URL.decode($0) : nil }
    }
}
