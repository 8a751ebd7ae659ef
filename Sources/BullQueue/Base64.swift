/// Base64 with padding (RFC 4648, section 4).
enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func text(_ bytes: some Collection<UInt8>) -> String {
        var characters: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        func append(_ shift: UInt32) { characters.append(alphabet[Int(bits >> shift & 63)]) }
        for byte in bytes {
            bits = bits << 8 | UInt32(byte)
            count += 1
            if count == 3 {
                for shift in [18, 12, 6, 0] as [UInt32] { append(shift) }
                (bits, count) = (0, 0)
            }
        }
        if count > 0 {
            bits <<= count == 1 ? 16 : 8
            append(18)
            append(12)
            if count == 2 { append(6) }
            characters.append(contentsOf: repeatElement(UInt8(ascii: "="), count: 3 - count))
        }
        return String(decoding: characters, as: UTF8.self)
    }
}
