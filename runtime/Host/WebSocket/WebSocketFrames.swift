internal import NIOCore

/// The kinds of frames (RFC 6455 section 5.2).
enum WebSocketOpcode: UInt8 {
    case continuation = 0
    case text = 1
    case binary = 2
    case close = 8
    case ping = 9
    case pong = 10

    var isControl: Bool { rawValue >= 8 }
}

/// Writes a server's frames, which are not masked and never fragmented.
enum WebSocketFrames {
    /// The longest head of a frame.
    static let maxHeadBytes = 10

    /// Writes what comes before a payload.
    static func writeHead(
        _ opcode: WebSocketOpcode, isCompressed: Bool = false, length: Int, into buffer: inout ByteBuffer
    ) {
        buffer.writeInteger(0x80 | (isCompressed ? 0x40 : 0) | opcode.rawValue)
        switch length {
        case ..<126: buffer.writeInteger(UInt8(length))
        case ..<65_536:
            buffer.writeInteger(UInt8(126))
            buffer.writeInteger(UInt16(length))
        default:
            buffer.writeInteger(UInt8(127))
            buffer.writeInteger(UInt64(length))
        }
    }

    /// Writes a control frame; its payload is at most 125 bytes.
    static func writeControl(_ opcode: WebSocketOpcode, _ payload: ByteBuffer, into buffer: inout ByteBuffer) {
        writeHead(opcode, length: payload.readableBytes, into: &buffer)
        buffer.writeImmutableBuffer(payload)
    }
}
