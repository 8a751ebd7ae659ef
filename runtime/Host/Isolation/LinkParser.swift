internal import NIOCore

/// Cuts what comes over a link into frames.
struct LinkParser {
    private let maxFrameBytes: Int
    private var buffer = ByteBuffer()

    /// Larger than this, an empty buffer is not kept.
    private static let keptBytes = 1 << 20

    /// - Parameter maxFrameBytes: The largest payload.
    init(maxFrameBytes: Int) {
        self.maxFrameBytes = maxFrameBytes
    }

    /// Takes what has come.
    mutating func append(_ bytes: ByteBuffer) {
        if buffer.readableBytes == 0 {
            buffer = bytes
        } else {
            buffer.writeImmutableBuffer(bytes)
        }
    }

    /// The next whole frame; `nil` when more must come.
    ///
    /// - Throws: ``LinkViolation`` for a length out of bounds or an unknown kind.
    mutating func next() throws(LinkViolation) -> LinkFrame? {
        guard let length = buffer.getInteger(at: buffer.readerIndex, as: UInt32.self) else { return nil }
        guard length >= LinkFrame.headBytes - 4, Int(length) <= maxFrameBytes + LinkFrame.headBytes - 4 else {
            throw LinkViolation("a frame of \(length) bytes")
        }
        guard buffer.readableBytes >= 4 + Int(length) else {
            // A buffer that grows with a frame need not hold what was read before it.
            if buffer.readerIndex > LinkParser.keptBytes { buffer.discardReadBytes() }
            return nil
        }
        guard buffer.readInteger(as: UInt32.self) != nil, let code = buffer.readInteger(as: UInt8.self),
            let stream = buffer.readInteger(as: UInt32.self),
            let payload = buffer.readSlice(length: Int(length) - (LinkFrame.headBytes - 4))
        else { throw LinkViolation("a frame without a head") }
        guard let kind = LinkFrame.Kind(rawValue: code) else { throw LinkViolation("a frame of the kind \(code)") }
        if buffer.readableBytes == 0 { buffer = ByteBuffer() }
        return LinkFrame(kind: kind, stream: stream, payload: payload)
    }
}
