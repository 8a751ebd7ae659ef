internal import FunctionKit
internal import NIOCore

/// Makes a socket's messages into frames, compressed where that was agreed. Belongs to one loop.
struct WebSocketEncoder {
    /// Below this a message without context gains too little to be worth the work.
    static let smallestCompressedBytes = 512
    /// Up to this a payload is copied behind its head; a larger one goes out as it is.
    static let copiedBytes = 16_384

    private let deflate: PerMessageDeflate?
    private let store: DeflateStore
    /// Kept where messages may refer to earlier ones, made for the first.
    private var deflater: Deflater?

    init(_ deflate: PerMessageDeflate?, store: DeflateStore) {
        self.deflate = deflate
        self.store = store
    }

    /// Appends a message's frame.
    ///
    /// - Returns: The payload, where it is to be sent after what was appended.
    mutating func write(_ message: WebSocketMessage, into buffer: inout ByteBuffer) -> ByteBuffer? {
        let opcode: WebSocketOpcode = message.kind == .text ? .text : .binary
        let compressed = compress(message.payload)
        let payload = compressed ?? message.payload
        WebSocketFrames.writeHead(
            opcode, isCompressed: compressed != nil, length: payload.readableBytes, into: &buffer)
        if payload.readableBytes > WebSocketEncoder.copiedBytes { return payload }
        buffer.writeImmutableBuffer(payload)
        return nil
    }

    /// Gives all memory back; nothing more is written.
    mutating func end() { deflater = nil }

    private mutating func compress(_ payload: ByteBuffer) -> ByteBuffer? {
        guard let deflate else { return nil }
        var compressed = ByteBuffer()
        if deflate.serverKeepsContext {
            if deflater == nil { deflater = Deflater(windowBits: deflate.serverWindowBits) }
            guard let deflater else { return nil }
            deflater.deflate(payload, into: &compressed)
            return compressed
        }
        guard payload.readableBytes >= WebSocketEncoder.smallestCompressedBytes,
            let deflater = store.deflater(windowBits: deflate.serverWindowBits)
        else { return nil }
        deflater.deflate(payload, into: &compressed)
        return compressed.readableBytes < payload.readableBytes ? compressed : nil
    }
}
