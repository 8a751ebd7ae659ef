internal import CZlib
internal import NIOCore

/// Decompresses messages (RFC 7692 section 7.2.2) with zlib. Belongs to one loop.
final class Inflater {
    /// What zlib ends a flushed block with and a message leaves out.
    private static let tail: [UInt8] = [0x00, 0x00, 0xFF, 0xFF]
    private static let firstRoomBytes = 4096

    // zlib keeps a pointer back to it, so it must not move.
    private let stream: UnsafeMutablePointer<z_stream>
    /// Whether the last block said that it is the last of its stream (section 7.2.3.4).
    private var hasEnded = false
    private var hasInput = false

    /// Makes a decompressor, or `nil` without memory.
    init?() {
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        // A window of 32 KiB takes whatever the client's compressor may use.
        guard inflateInit2_(stream, -15, ZLIB_VERSION, CInt(MemoryLayout<z_stream>.size)) == Z_OK else {
            stream.deallocate()
            return nil
        }
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
    }

    /// Forgets all that has come, for a message without context.
    func reset() {
        inflateReset(stream)
        hasEnded = false
        hasInput = false
    }

    /// Decompresses the next bytes of a message.
    ///
    /// - Parameters:
    ///   - bytes: The next bytes, cut anywhere.
    ///   - output: Gets what comes out.
    ///   - limit: The most that the output may hold in all.
    /// - Throws: `.tooBig` as soon as there is more, `.notDeflated`.
    func inflate(
        _ bytes: UnsafeRawBufferPointer, into output: inout ByteBuffer, limit: Int
    ) throws(WebSocketFailure) {
        guard let start = bytes.baseAddress, bytes.count > 0 else { return }
        hasInput = true
        stream.pointee.next_in = UnsafeMutablePointer(mutating: start.assumingMemoryBound(to: UInt8.self))
        stream.pointee.avail_in = CUnsignedInt(bytes.count)
        defer {
            stream.pointee.next_in = nil
            stream.pointee.next_out = nil
        }
        while true {
            if hasEnded {
                guard stream.pointee.avail_in > 0 else { return }
                // The window stays: the next block may refer to what came before.
                inflateResetKeep(stream)
                hasEnded = false
            }
            // One byte more than allowed tells too much from just enough.
            let room = min(max(output.writableBytes, Inflater.firstRoomBytes), limit - output.readableBytes + 1)
            var status = Z_OK
            var isFull = false
            output.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { target in
                stream.pointee.next_out = target.baseAddress?.assumingMemoryBound(to: UInt8.self)
                stream.pointee.avail_out = CUnsignedInt(room)
                status = CZlib.inflate(stream, Z_NO_FLUSH)
                isFull = stream.pointee.avail_out == 0
                return room - Int(stream.pointee.avail_out)
            }
            guard output.readableBytes <= limit else { throw .tooBig }
            switch status {
            case Z_STREAM_END: hasEnded = true
            case Z_OK where isFull: continue
            case Z_OK, Z_BUF_ERROR: return
            default: throw .notDeflated
            }
        }
    }

    /// Ends a message.
    ///
    /// - Throws: As ``inflate(_:into:limit:)``; `.notDeflated` also when the message ends within a block.
    func finish(into output: inout ByteBuffer, limit: Int) throws(WebSocketFailure) {
        defer { hasInput = false }
        // A message of no bytes, and one whose last block is the stream's, are whole as they are.
        guard hasInput, !hasEnded else { return }
        var failure: WebSocketFailure?
        Inflater.tail.withUnsafeBytes { tail in
            do throws(WebSocketFailure) {
                try inflate(tail, into: &output, limit: limit)
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        // Bit 7 says that zlib stands between two blocks.
        guard stream.pointee.avail_in == 0, stream.pointee.data_type & 128 != 0 else { throw .notDeflated }
    }
}
