internal import CDeflate
public import NIOCore

/// CRC-32 as ZIP, gzip and S3 use it (reflected polynomial 0xEDB88320).
///
/// Two checksums of adjacent runs of bytes give the checksum of both without another look at the bytes. The bytes'
/// remainder is a polynomial over GF(2): appending n zero bytes multiplies it by x^(8n), and adding the second run's
/// remainder is an XOR. x^(8n) is made from the squares x, x², x⁴, … of which there are at most 31 before they repeat.
public struct CRC32: Sendable, Hashable {
    /// The checksum of the bytes so far; 0 for none.
    public private(set) var value: UInt32

    /// Goes on from a checksum; by default from that of no bytes.
    public init(_ value: UInt32 = 0) { self.value = value }

    /// The checksum of a buffer's readable bytes.
    public init(of buffer: ByteBuffer) {
        self.init()
        update(buffer)
    }

    /// Takes in a buffer's readable bytes.
    public mutating func update(_ buffer: ByteBuffer) {
        buffer.withUnsafeReadableBytes { update($0) }
    }

    /// Takes in bytes.
    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        // Without a buffer libdeflate answers with the initial value, whatever came before.
        guard !bytes.isEmpty else { return }
        value =
            CRC32.canFold && bytes.count >= CRC32.foldFromBytes
            ? cdeflate_crc32_fold(value, bytes.baseAddress, bytes.count)
            : libdeflate_crc32(value, bytes.baseAddress, bytes.count)
    }

    /// Whether the CPU has the instructions of the faster way.
    private static let canFold = cdeflate_crc32_can_fold() != 0
    /// For less the faster way is not faster; it needs 256 bytes at least.
    private static let foldFromBytes = 1024

    /// Takes in bytes of which only the checksum and the number are at hand.
    ///
    /// - Parameters:
    ///   - other: The checksum of the bytes that follow.
    ///   - byteCount: How many they are, at least 0.
    public mutating func append(_ other: CRC32, byteCount: Int64) {
        precondition(byteCount >= 0, "A number of bytes is not negative.")
        value = value == 0 ? other.value : CRC32.product(CRC32.power(byteCount), value) ^ other.value
    }

    /// x^(8 · byteCount) modulo the polynomial.
    private static func power(_ byteCount: Int64) -> UInt32 {
        var result: UInt32 = 1 << 31
        var rest = UInt64(byteCount)
        var square = 3
        while rest != 0 {
            if rest & 1 == 1 { result = product(squares[square & 31], result) }
            rest >>= 1
            square += 1
        }
        return result
    }

    /// The product of two polynomials modulo the polynomial; the highest bit is the coefficient of x⁰.
    private static func product(_ a: UInt32, _ b: UInt32) -> UInt32 {
        var product: UInt32 = 0
        var a = a
        var b = b
        while a != 0 {
            if a & 0x8000_0000 != 0 { product ^= b }
            a <<= 1
            b = b & 1 == 1 ? (b >> 1) ^ 0xEDB8_8320 : b >> 1
        }
        return product
    }

    /// x^(2^k) for k from 0 to 31.
    private static let squares: [UInt32] = {
        var squares: [UInt32] = [1 << 30]
        for index in 1..<32 { squares.append(product(squares[index - 1], squares[index - 1])) }
        return squares
    }()
}
