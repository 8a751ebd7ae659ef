internal import COpenSSL

/// A SHA-256 digest that is fed in parts; each part is framed by its length, so that no two lists of parts are confused.
struct Digest {
    private var parts: [UInt8] = []

    mutating func add(_ bytes: [UInt8]) {
        withUnsafeBytes(of: UInt64(bytes.count).littleEndian) { parts.append(contentsOf: $0) }
        parts.append(contentsOf: bytes)
    }

    mutating func add(_ text: String) { add(Array(text.utf8)) }

    /// The first bytes of the digest in hexadecimal.
    func hexadecimal(bytes count: Int) -> String { Self.sha256(parts).prefix(count).hexadecimal }

    static func sha256(_ bytes: [UInt8]) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 32)
        SHA256(bytes, bytes.count, &digest)
        return digest
    }
}

extension Sequence<UInt8> {
    /// Two lower-case digits a byte.
    var hexadecimal: String {
        let digits = Array("0123456789abcdef".utf8)
        return String(
            decoding: flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}
