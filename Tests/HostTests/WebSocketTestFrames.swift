import FunctionKit
import NIOCore

@testable import Host

/// Makes a client's frames, also wrong ones.
struct ClientFrame {
    var opcode: UInt8
    var payload: [UInt8]
    var isFinal = true
    var reserved: UInt8 = 0
    var mask: [UInt8]? = [0x37, 0xFA, 0x21, 0x3D]
    /// The form of the length: 0 for the shortest, or 2 or 8 bytes.
    var lengthBytes = 0

    init(
        _ opcode: UInt8, _ payload: [UInt8] = [], isFinal: Bool = true, reserved: UInt8 = 0,
        mask: [UInt8]? = [0x37, 0xFA, 0x21, 0x3D], lengthBytes: Int = 0
    ) {
        self.opcode = opcode
        self.payload = payload
        self.isFinal = isFinal
        self.reserved = reserved
        self.mask = mask
        self.lengthBytes = lengthBytes
    }

    static func text(_ text: String, isFinal: Bool = true) -> ClientFrame {
        ClientFrame(1, Array(text.utf8), isFinal: isFinal)
    }

    var bytes: [UInt8] {
        var bytes = [(isFinal ? 0x80 : 0) | reserved << 4 | opcode]
        let marked: UInt8 = mask == nil ? 0 : 0x80
        let count = payload.count
        let form = lengthBytes > 0 ? lengthBytes : count < 126 ? 0 : count < 65_536 ? 2 : 8
        if form == 0 {
            bytes.append(marked | UInt8(count))
        } else {
            bytes.append(marked | (form == 2 ? 126 : 127))
            for index in (0..<form).reversed() { bytes.append(UInt8(truncatingIfNeeded: count >> (8 * index))) }
        }
        guard let mask else { return bytes + payload }
        return bytes + mask + payload.enumerated().map { $1 ^ mask[$0 % 4] }
    }
}

extension WebSocketParser {
    /// All events of these bytes, which come in pieces of at most so many.
    mutating func events(_ bytes: [UInt8], by pieceBytes: Int = .max) -> [Event] {
        var events: [Event] = []
        var start = 0
        while start < bytes.count {
            let end = pieceBytes < bytes.count - start ? start + pieceBytes : bytes.count
            var buffer = ByteBuffer(bytes: bytes[start..<end])
            take: while true {
                switch next(&buffer) {
                case .needsMore: break take
                case let event: events.append(event)
                }
            }
            start = end
        }
        return events
    }
}

extension ByteBuffer {
    var bytes: [UInt8] { Array(readableBytesView) }
}
