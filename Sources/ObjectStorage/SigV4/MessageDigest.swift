internal import COpenSSL
public import NIOCore

/// A message digest that is fed piece by piece (OpenSSL's `EVP_MD_CTX`, freed when the value goes).
///
/// - Note: Stops the program when libcrypto refuses the algorithm, as a FIPS provider does with MD5.
public struct MessageDigest: ~Copyable, @unchecked Sendable {
    // @unchecked: the context belongs to this value alone, which cannot be copied, and every use of it is exclusive.

    /// The algorithms that S3 uses.
    public enum Algorithm: Sendable {
        /// SHA-256, 32 bytes.
        case sha256
        /// SHA-1, 20 bytes: one of S3's checksum algorithms.
        case sha1
        /// MD5, 16 bytes: S3's entity tags.
        case md5
    }

    private let context: OpaquePointer

    /// Begins a digest.
    public init(_ algorithm: Algorithm) {
        let method =
            switch algorithm {
            case .sha256: EVP_sha256()
            case .sha1: EVP_sha1()
            case .md5: EVP_md5()
            }
        guard let context = EVP_MD_CTX_new() else { preconditionFailure("EVP_MD_CTX_new: out of memory") }
        precondition(EVP_DigestInit_ex(context, method, nil) == 1, "libcrypto offers no \(algorithm)")
        self.context = context
    }

    /// Adds bytes.
    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        guard let start = bytes.baseAddress, !bytes.isEmpty else { return }
        precondition(EVP_DigestUpdate(context, start, bytes.count) == 1, "EVP_DigestUpdate")
    }

    /// Adds a buffer's readable bytes.
    public mutating func update(_ buffer: ByteBuffer) {
        buffer.withUnsafeReadableBytes { update($0) }
    }

    /// Adds a text's UTF-8.
    public mutating func update(_ text: some StringProtocol) {
        var text = String(text)
        text.withUTF8 { update(UnsafeRawBufferPointer($0)) }
    }

    /// Ends the digest.
    public consuming func finish() -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: Int(EVP_MAX_MD_SIZE)) { output, count in
            var length: UInt32 = 0
            precondition(EVP_DigestFinal_ex(context, output.baseAddress, &length) == 1, "EVP_DigestFinal_ex")
            count = Int(length)
        }
    }

    deinit { EVP_MD_CTX_free(context) }

    /// The digest of a text's UTF-8.
    public static func digest(_ algorithm: Algorithm, of text: some StringProtocol) -> [UInt8] {
        var digest = MessageDigest(algorithm)
        digest.update(text)
        return digest.finish()
    }

    /// The digest of a buffer's readable bytes.
    public static func digest(_ algorithm: Algorithm, of buffer: ByteBuffer) -> [UInt8] {
        var digest = MessageDigest(algorithm)
        digest.update(buffer)
        return digest.finish()
    }

    /// HMAC-SHA-256 (RFC 2104) of a text's UTF-8.
    public static func hmacSHA256(key: [UInt8], _ text: some StringProtocol) -> [UInt8] {
        var text = String(text)
        return text.withUTF8 { bytes in
            [UInt8](unsafeUninitializedCapacity: 32) { output, count in
                var length: UInt32 = 0
                let code = HMAC(
                    EVP_sha256(), key, Int32(key.count), bytes.baseAddress, bytes.count, output.baseAddress, &length)
                precondition(code != nil, "HMAC")
                count = Int(length)
            }
        }
    }

    /// Whether two texts are equal, in time that depends only on their lengths.
    public static func constantTimeEqual(_ a: String, _ b: String) -> Bool {
        let a = Array(a.utf8)
        let b = Array(b.utf8)
        return a.count == b.count && CRYPTO_memcmp(a, b, a.count) == 0
    }
}
