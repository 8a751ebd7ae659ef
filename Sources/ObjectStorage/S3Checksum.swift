/// CRC-32 in S3's header fields: base64 (RFC 4648 section 4) of the four bytes, the highest first.
public enum S3Checksum {
    /// Eight characters, for example `i9aeUg==`.
    public static func encode(_ crc32: UInt32) -> String {
        base64((0..<4).map { UInt8(truncatingIfNeeded: crc32 >> (24 - 8 * $0)) })
    }

    /// Reads the eight characters; `nil` for any other text, such as a composite checksum `…-2`.
    public static func decode(_ text: some StringProtocol) -> UInt32? {
        let text = Array(text.utf8)
        guard text.count == 8, text[6] == UInt8(ascii: "="), text[7] == UInt8(ascii: "=") else { return nil }
        var bits: UInt64 = 0
        for character in text.prefix(6) {
            guard let value = alphabet.firstIndex(of: character) else { return nil }
            bits = bits << 6 | UInt64(value)
        }
        let crc32 = UInt32(truncatingIfNeeded: bits >> 4)
        return encode(crc32).utf8.elementsEqual(text) ? crc32 : nil
    }

    /// Base64 with padding.
    public static func base64(_ bytes: [UInt8]) -> String {
        var encoded: [UInt8] = []
        encoded.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let bits = group.reduce(0) { $0 << 8 | UInt32($1) } << (8 * UInt32(3 - group.count))
            for place in 0..<4 {
                encoded.append(place <= group.count ? alphabet[Int(bits >> (18 - 6 * place) & 63)] : UInt8(ascii: "="))
            }
        }
        return String(decoding: encoded, as: UTF8.self)
    }

    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
}
