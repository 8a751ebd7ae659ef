internal import NIOCore

/// Writes chunks (RFC 9112 section 7.1).
enum ChunkedCoding {
    /// The longest size line, with its end.
    private static let sizeLineBytes = 18

    /// Writes a chunk of what `body` writes into an empty buffer. A chunk is not empty: that would end the message.
    static func write(into buffer: inout ByteBuffer, _ body: (inout ByteBuffer) -> Void) {
        let start = buffer.writerIndex
        // Its size comes before it and is known after it, so there is room for the longest.
        buffer.writeRepeatingByte(0x30, count: sizeLineBytes)
        body(&buffer)
        let size = String(buffer.writerIndex - start - sizeLineBytes, radix: 16)
        let lineStart = start + sizeLineBytes - 2 - size.utf8.count
        buffer.setString(size, at: lineStart)
        buffer.setInteger(0x0D0A, at: start + sizeLineBytes - 2, as: UInt16.self)
        buffer.writeStaticString("\r\n")
        buffer.moveReaderIndex(to: lineStart)
    }
}
