internal import FunctionKit
internal import NIOCore

/// Reads a client's frames (RFC 6455 section 5) from bytes that may be cut anywhere, and makes messages of them.
///
/// A pure state machine: the session hands it what has come and acts on the events. Nothing waits for the end of a frame:
/// each bit of a head is judged when it comes, and payload is unmasked, decompressed, checked and appended to its message
/// piece by piece. So a broken frame fails at the first byte that cannot be right, a bomb at the first byte too many, and
/// neither many fragments nor small pieces cost more than their bytes. After a failure or a close frame it takes nothing.
///
/// `WebSocketParser+Payload.swift` holds what happens to payload.
struct WebSocketParser {
    enum Event: Equatable {
        case needsMore
        case message(WebSocketMessage)
        case ping(ByteBuffer)
        case pong
        case close(WebSocketClose)
        case failed(WebSocketFailure)
    }

    /// What comes next of a frame.
    enum State: Equatable {
        case head
        case length
        /// So many bytes of a length of two or eight bytes are missing.
        case longLength(missing: Int, of: Int)
        /// So many bytes of the mask are missing.
        case mask(Int)
        /// So many bytes of the payload are missing.
        case payload(Int)
        case ended
    }

    let maxMessageBytes: Int
    /// Lends decompressors; `nil` where compression was not agreed.
    let store: DeflateStore?
    /// Whether a decompressor is kept from one message to the next.
    let keepsContext: Bool

    var state = State.head
    // The current frame.
    var opcode = WebSocketOpcode.continuation
    var isFinal = false
    var length: UInt64 = 0
    private var maskBits: UInt32 = 0
    var mask = WebSocketMask(0)
    /// A control frame's payload; such frames may stand between those of a message.
    var control = ByteBuffer()
    // The message that is coming.
    var kind: WebSocketMessage.Kind?
    var isCompressed = false
    var payload = ByteBuffer()
    var text = UTF8Validator()
    var inflater: Inflater?

    /// Makes a parser.
    ///
    /// - Parameters:
    ///   - maxMessageBytes: The largest message, decompressed.
    ///   - store: Lends decompressors where compression was agreed.
    ///   - keepsContext: Whether a message may refer to those before it.
    init(maxMessageBytes: Int, store: DeflateStore? = nil, keepsContext: Bool = false) {
        self.maxMessageBytes = maxMessageBytes
        self.store = store
        self.keepsContext = keepsContext
    }

    /// Whether no byte of a next message or frame has been taken yet.
    var isBetweenMessages: Bool { state == .head && kind == nil }

    /// Takes bytes from the front of the buffer up to the next event.
    mutating func next(_ buffer: inout ByteBuffer) -> Event {
        do throws(WebSocketFailure) {
            while true {
                switch state {
                case .ended:
                    buffer.clear()
                    return .needsMore
                case .payload(let missing):
                    if missing > 0 {
                        guard buffer.readableBytes > 0 else { return .needsMore }
                        try takePayload(missing, &buffer)
                    } else if let event = try endFrame() {
                        return event
                    }
                case .head, .length, .longLength, .mask:
                    guard let byte = buffer.readInteger(as: UInt8.self) else { return .needsMore }
                    try takeHead(byte)
                }
            }
        } catch {
            end()
            return .failed(error)
        }
    }

    /// Gives all memory back; nothing more is taken.
    mutating func end() {
        state = .ended
        payload = ByteBuffer()
        control = ByteBuffer()
        inflater = nil
        kind = nil
    }

    private mutating func takeHead(_ byte: UInt8) throws(WebSocketFailure) {
        switch state {
        case .head: try begin(byte)
        case .length: try takeLength(byte)
        case .longLength(let missing, let count):
            length = length << 8 | UInt64(byte)
            state = .longLength(missing: missing - 1, of: count)
            if missing == 1 { try endLongLength(count) }
        case .mask(let missing):
            maskBits = maskBits << 8 | UInt32(byte)
            guard missing == 1 else {
                state = .mask(missing - 1)
                return
            }
            mask = WebSocketMask(maskBits)
            state = .payload(Int(length))
        case .payload, .ended: break
        }
    }

    /// Takes the first byte of a frame.
    private mutating func begin(_ byte: UInt8) throws(WebSocketFailure) {
        guard byte & 0x30 == 0 else { throw .violation("a reserved bit is set") }
        guard let opcode = WebSocketOpcode(rawValue: byte & 0x0F) else {
            throw .violation("an opcode is reserved")
        }
        self.opcode = opcode
        isFinal = byte & 0x80 != 0
        let isMarked = byte & 0x40 != 0
        switch opcode {
        case .close, .ping, .pong:
            guard isFinal else { throw .violation("a control frame is fragmented") }
            guard !isMarked else { throw .violation("a reserved bit is set") }
        case .continuation:
            guard !isMarked else { throw .violation("a reserved bit is set") }
            guard kind != nil else { throw .violation("there is nothing to continue") }
        case .text, .binary:
            guard !isMarked || store != nil else { throw .violation("a reserved bit is set") }
            guard kind == nil else { throw .violation("a message begins within another") }
            try beginMessage(opcode == .text ? .text : .binary, isCompressed: isMarked)
        }
        state = .length
    }

    private mutating func takeLength(_ byte: UInt8) throws(WebSocketFailure) {
        guard byte & 0x80 != 0 else { throw .violation("a frame is not masked") }
        let short = byte & 0x7F
        guard short < 126 || !opcode.isControl else { throw .violation("a control frame is too long") }
        length = 0
        switch short {
        case 126: state = .longLength(missing: 2, of: 2)
        case 127: state = .longLength(missing: 8, of: 8)
        default:
            length = UInt64(short)
            try endLength()
        }
    }

    private mutating func endLongLength(_ count: Int) throws(WebSocketFailure) {
        guard length >> 63 == 0 else { throw .violation("a length is out of range") }
        // Two bytes are for what does not fit into seven bits, eight for what does not fit into two bytes.
        guard length >= (count == 8 ? 65_536 : 126) else { throw .violation("a length is not in its shortest form") }
        try endLength()
    }

    private mutating func endLength() throws(WebSocketFailure) {
        if !opcode.isControl, !isCompressed {
            guard length <= UInt64(maxMessageBytes - payload.readableBytes) else { throw .tooBig }
        }
        state = .mask(4)
        maskBits = 0
    }
}
