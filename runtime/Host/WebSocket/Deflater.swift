internal import CZlib
internal import NIOCore

/// Compresses messages (RFC 7692 section 7.2.1) with zlib. Belongs to one loop.
final class Deflater {
    /// What zlib ends a flushed block with and a message leaves out.
    private static let tailBytes = 4

    // zlib keeps a pointer back to it, so it must not move.
    private let stream: UnsafeMutablePointer<z_stream>

    /// Makes a compressor, or `nil` without memory.
    ///
    /// - Parameter windowBits: The window's size as a power of two, 8 to 15. zlib has no window of 256 bytes; for 8 it
    ///   finds runs of one byte only, whose distance fits into any window.
    init?(windowBits: Int) {
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        // The fastest level: a socket's messages are small, and most go to many clients.
        let status = deflateInit2_(
            stream, Z_BEST_SPEED, Z_DEFLATED, CInt(-max(windowBits, 9)), 8,
            windowBits < 9 ? Z_RLE : Z_DEFAULT_STRATEGY, ZLIB_VERSION, CInt(MemoryLayout<z_stream>.size))
        guard status == Z_OK else {
            stream.deallocate()
            return nil
        }
    }

    deinit {
        deflateEnd(stream)
        stream.deallocate()
    }

    /// Forgets all that was sent, for a message without context.
    func reset() { deflateReset(stream) }

    /// Appends a message's compressed form.
    func deflate(_ payload: ByteBuffer, into output: inout ByteBuffer) {
        guard payload.readableBytes > 0 else {
            // An empty block (section 7.2.3.6); zlib does not flush twice without input.
            output.writeInteger(UInt8(0))
            return
        }
        payload.withUnsafeReadableBytes { bytes in
            stream.pointee.next_in = bytes.baseAddress.map {
                UnsafeMutablePointer(mutating: $0.assumingMemoryBound(to: UInt8.self))
            }
            stream.pointee.avail_in = CUnsignedInt(bytes.count)
            // Enough for nearly all in one step; more is asked for as long as zlib fills what it gets.
            var room = Int(deflateBound(stream, UInt(bytes.count))) + 16
            var isFull = true
            while isFull {
                output.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { target in
                    stream.pointee.next_out = target.baseAddress?.assumingMemoryBound(to: UInt8.self)
                    stream.pointee.avail_out = CUnsignedInt(room)
                    _ = CZlib.deflate(stream, Z_SYNC_FLUSH)
                    isFull = stream.pointee.avail_out == 0
                    return room - Int(stream.pointee.avail_out)
                }
                room = 4096
            }
            stream.pointee.next_in = nil
            stream.pointee.next_out = nil
        }
        output.moveWriterIndex(to: output.writerIndex - Deflater.tailBytes)
    }
}
