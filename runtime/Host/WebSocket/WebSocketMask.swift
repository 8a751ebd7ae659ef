internal import NIOCore

/// The key by which a client masks a frame (RFC 6455 section 5.3).
struct WebSocketMask: Equatable {
    /// The four bytes in the order of the wire, the first one lowest.
    private var key: UInt32

    /// Takes the four bytes as a number in network byte order.
    init(_ networkOrder: UInt32) { key = networkOrder.byteSwapped }

    /// Unmasks bytes on their way from one place to another, which may be the same, and turns the key to the byte that
    /// comes next.
    ///
    /// - Parameters:
    ///   - source: The masked bytes.
    ///   - target: Has room for as many.
    mutating func apply(_ source: UnsafeRawBufferPointer, to target: UnsafeMutableRawBufferPointer) {
        let word = UInt64(key) << 32 | UInt64(key)
        let count = source.count
        var index = 0
        while index + 8 <= count {
            let bytes = UInt64(littleEndian: source.loadUnaligned(fromByteOffset: index, as: UInt64.self)) ^ word
            target.storeBytes(of: bytes.littleEndian, toByteOffset: index, as: UInt64.self)
            index += 8
        }
        while index < count {
            target[index] = source[index] ^ UInt8(truncatingIfNeeded: key >> UInt32(8 * (index & 3)))
            index += 1
        }
        let turn = UInt32(8 * (count & 3))
        if turn > 0 { key = key >> turn | key << (32 - turn) }
    }
}

extension ByteBuffer {
    /// Appends the first bytes of another buffer, unmasked; they stay there too.
    mutating func writeUnmasked(_ count: Int, of buffer: ByteBuffer, _ mask: inout WebSocketMask) {
        buffer.withUnsafeReadableBytes { source in
            _ = writeWithUnsafeMutableBytes(minimumWritableBytes: count) { room in
                mask.apply(UnsafeRawBufferPointer(rebasing: source[..<count]), to: room)
                return count
            }
        }
    }
}
