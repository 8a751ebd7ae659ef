internal import COpenSSL

/// A public key that libcrypto holds (`EVP_PKEY`, freed with the last reference).
final class PublicKey: @unchecked Sendable {
    // @unchecked: the key is never changed after it was made, and libcrypto lets any thread verify with it.

    private let key: OpaquePointer

    /// What kind of key it is, with the algorithm that it is for and no other.
    let algorithm: TokenAlgorithm

    /// Reads a SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7).
    ///
    /// - Throws: ``TokenError`` with code `badKey` for what is none, and for a kind of key that no algorithm here is for.
    init(subjectPublicKeyInfo bytes: [UInt8]) throws(TokenError) {
        let parsed = bytes.withUnsafeBufferPointer { buffer in
            var start = buffer.baseAddress
            let key = d2i_PUBKEY(nil, &start, buffer.count)
            // What follows the key belongs to nothing.
            guard let key, start != buffer.baseAddress?.advanced(by: buffer.count) else { return key }
            EVP_PKEY_free(key)
            return nil
        }
        guard let parsed else {
            ERR_clear_error()
            throw TokenError(.badKey, "It holds no public key.")
        }
        do throws(TokenError) {
            algorithm = try PublicKey.algorithm(of: parsed)
        } catch {
            EVP_PKEY_free(parsed)
            throw error
        }
        key = parsed
    }

    deinit { EVP_PKEY_free(key) }

    private static func algorithm(of key: OpaquePointer) throws(TokenError) -> TokenAlgorithm {
        switch EVP_PKEY_get_base_id(key) {
        case EVP_PKEY_RSA:
            guard EVP_PKEY_get_bits(key) >= 2048 else {
                throw TokenError(.badKey, "An RSA key must have 2048 bits or more.")
            }
            return .rs256
        case EVP_PKEY_EC:
            var name = [CChar](repeating: 0, count: 64)
            var length = 0
            guard EVP_PKEY_get_group_name(key, &name, name.count, &length) == 1,
                String(decoding: name[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self) == "prime256v1"
            else { throw TokenError(.badKey, "A key of an elliptic curve must be of P-256 or Ed25519.") }
            return .es256
        case EVP_PKEY_ED25519: return .edDSA
        default: throw TokenError(.badKey, "The key must be RSA, P-256 or Ed25519.")
        }
    }

    /// Whether this is the key's signature of a message. A signature of ES256 is its two numbers in 32 bytes each.
    func verify(_ signature: [UInt8], of message: [UInt8]) -> Bool {
        var signature = signature
        if algorithm == .es256 {
            guard signature.count == 64 else { return false }
            signature = DER.sequence(DER.integer(signature[..<32]), DER.integer(signature[32...]))
        }
        guard let context = EVP_MD_CTX_new() else { return false }
        defer {
            EVP_MD_CTX_free(context)
            ERR_clear_error()
        }
        let digest = algorithm == .edDSA ? nil : EVP_sha256()
        guard EVP_DigestVerifyInit(context, nil, digest, nil, key) == 1 else { return false }
        return EVP_DigestVerify(context, signature, signature.count, message, message.count) == 1
    }
}
