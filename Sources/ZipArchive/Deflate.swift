internal import CDeflate
internal import NIOCore

/// DEFLATE (RFC 1951) of a whole buffer by libdeflate.
enum Deflate {
    /// The compressed form at a level from 1 (fast) to 12 (small), or `nil` when it would not be smaller.
    static func compress(_ contents: ByteBuffer, level: Int) -> ByteBuffer? {
        precondition((1...12).contains(level), "A level of compression is 1 to 12.")
        guard contents.readableBytes > 1, let compressor = libdeflate_alloc_compressor(Int32(level)) else { return nil }
        defer { libdeflate_free_compressor(compressor) }
        let room = contents.readableBytes - 1
        var compressed = ByteBuffer()
        let count = compressed.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { output in
            contents.withUnsafeReadableBytes { input in
                // 0 when the result does not fit into one byte less than the input.
                libdeflate_deflate_compress(compressor, input.baseAddress, input.count, output.baseAddress, room)
            }
        }
        return count == 0 ? nil : compressed
    }
}
