public import NIOCore

/// The CRC-32 of ZIP and S3 (reflected polynomial `0xEDB88320`), fed piece by piece.
///
/// Eight bytes a step ("slicing by 8", Kounavis and Berry 2005), which needs no special instructions.
public struct CRC32: Sendable {
    private var state: UInt32 = 0xFFFF_FFFF

    /// Begins a checksum.
    public init() {}

    /// The checksum of what was added so far.
    public var value: UInt32 { ~state }

    /// The checksum as S3's header fields have it: base64 of the four bytes, the highest first.
    public var headerValue: String { S3Checksum.encode(value) }

    /// Adds bytes.
    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        var crc = state
        CRC32.table.withUnsafeBufferPointer { table in
            var index = 0
            while index &+ 8 <= bytes.count {
                let word = bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self).littleEndian ^ UInt64(crc)
                crc =
                    table[Int(truncatingIfNeeded: word & 0xFF) | 0x700]
                    ^ table[Int(truncatingIfNeeded: word >> 8 & 0xFF) | 0x600]
                    ^ table[Int(truncatingIfNeeded: word >> 16 & 0xFF) | 0x500]
                    ^ table[Int(truncatingIfNeeded: word >> 24 & 0xFF) | 0x400]
                    ^ table[Int(truncatingIfNeeded: word >> 32 & 0xFF) | 0x300]
                    ^ table[Int(truncatingIfNeeded: word >> 40 & 0xFF) | 0x200]
                    ^ table[Int(truncatingIfNeeded: word >> 48 & 0xFF) | 0x100]
                    ^ table[Int(truncatingIfNeeded: word >> 56)]
                index &+= 8
            }
            while index < bytes.count {
                crc = crc >> 8 ^ table[Int(truncatingIfNeeded: (crc ^ UInt32(bytes[index])) & 0xFF)]
                index &+= 1
            }
        }
        state = crc
    }

    /// Adds a buffer's readable bytes.
    public mutating func update(_ buffer: ByteBuffer) {
        buffer.withUnsafeReadableBytes { update($0) }
    }

    /// Eight tables of 256: the remainder of a byte that is followed by 0 to 7 zero bytes.
    private static let table: [UInt32] = {
        var table = [UInt32](repeating: 0, count: 2048)
        for byte in 0..<256 {
            var remainder = UInt32(byte)
            for _ in 0..<8 { remainder = remainder >> 1 ^ (remainder & 1 == 1 ? 0xEDB8_8320 : 0) }
            table[byte] = remainder
        }
        for index in 256..<2048 {
            let previous = table[index - 256]
            table[index] = previous >> 8 ^ table[Int(previous & 0xFF)]
        }
        return table
    }()
}
