// The CRC-32 of two byte strings one after the other, from theirs: bytes appended multiply the first checksum by a power
// of x modulo the polynomial, so with n the length of the second, crc(ab) = crc(a) * x^(8n) + crc(b) over GF(2).
// x^(8n) takes one multiplication a bit of n, by squaring. Method: Mark Adler, zlib's crc32_combine.

/// Joins checksums.
enum CRC32Combination {
    private static let polynomial: UInt32 = 0xEDB8_8320

    /// The CRC-32 of two strings in a row.
    static func combine(_ first: UInt32, _ second: UInt32, secondCount: Int64) -> UInt32 {
        multiply(shift(byBytes: secondCount), first) ^ second
    }

    /// The product of two polynomials of degree below 32, modulo the CRC's; the highest bit is x^0.
    private static func multiply(_ a: UInt32, _ b: UInt32) -> UInt32 {
        var product: UInt32 = 0
        var b = b
        for bit in 0..<32 {
            if a & (0x8000_0000 >> UInt32(bit)) != 0 { product ^= b }
            b = b & 1 == 1 ? b >> 1 ^ polynomial : b >> 1
        }
        return product
    }

    /// x^(8·count).
    private static func shift(byBytes count: Int64) -> UInt32 {
        var result: UInt32 = 0x8000_0000
        var power: UInt32 = 0x0080_0000
        var rest = count
        while rest > 0 {
            if rest & 1 == 1 { result = multiply(result, power) }
            power = multiply(power, power)
            rest >>= 1
        }
        return result
    }
}
