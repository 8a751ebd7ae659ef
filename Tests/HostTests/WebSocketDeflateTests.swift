import FunctionKit
import NIOCore
import TestSupport
import Testing

@testable import Host

@Suite struct WebSocketDeflateTests {
    private func parser(max: Int = 1 << 20, keepsContext: Bool = false) -> WebSocketParser {
        WebSocketParser(maxMessageBytes: max, store: DeflateStore(), keepsContext: keepsContext)
    }

    private func code(_ event: WebSocketParser.Event?) -> UInt16? {
        if case .failed(let failure) = event { failure.code.rawValue } else { nil }
    }

    // RFC 7692 section 7.2.3: plain, stored, with BFINAL set, and in two blocks.
    static let hello: [[UInt8]] = [
        [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00],
        [0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48, 0x65, 0x6C, 0x6C, 0x6F, 0x00],
        [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00],
        [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00],
        [0xF2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xCA, 0xC9, 0xC9, 0x07, 0x00],
    ]

    @Test(arguments: hello, [false, true])
    func `the standard's examples come out, however they are cut`(payload: [UInt8], keepsContext: Bool) {
        for piece in 1...16 {
            var parser = parser(keepsContext: keepsContext)
            let frame = ClientFrame(1, payload, reserved: 4).bytes
            #expect(parser.events(frame + frame, by: piece) == [.message(.text("Hello")), .message(.text("Hello"))])
        }
        for cut in 0...payload.count {
            var parser = parser(keepsContext: keepsContext)
            let fragments = [
                ClientFrame(1, Array(payload[..<cut]), isFinal: false, reserved: 4), ClientFrame(9),
                ClientFrame(0, Array(payload[cut...])),
            ]
            #expect(parser.events(fragments.flatMap(\.bytes)) == [.ping(ByteBuffer()), .message(.text("Hello"))])
        }
    }

    @Test func `a message may refer to earlier ones only with context`() {
        let frames =
            ClientFrame(1, Self.hello[0], reserved: 4).bytes
            + ClientFrame(1, [0xF2, 0x00, 0x11, 0x00, 0x00], reserved: 4).bytes
        var keeping = parser(keepsContext: true)
        #expect(keeping.events(frames) == [.message(.text("Hello")), .message(.text("Hello"))])
        var forgetting = parser()
        #expect(code(forgetting.events(frames).last) == 1007)
        // The window is kept beyond a block that ends the stream.
        let ended =
            ClientFrame(1, Self.hello[2], reserved: 4).bytes
            + ClientFrame(1, [0xF2, 0x00, 0x11, 0x00, 0x00], reserved: 4).bytes
        var again = parser(keepsContext: true)
        #expect(again.events(ended) == [.message(.text("Hello")), .message(.text("Hello"))])
    }

    @Test func `empty messages and uncompressed ones come between`() {
        var parser = parser(keepsContext: true)
        let frames = [
            ClientFrame(2, [0], reserved: 4), ClientFrame(2, [], reserved: 4), ClientFrame(2, [7]),
            ClientFrame(1, Self.hello[0], reserved: 4),
        ]
        #expect(
            parser.events(frames.flatMap(\.bytes)) == [
                .message(.binary(ByteBuffer())), .message(.binary(ByteBuffer())),
                .message(.binary(ByteBuffer(bytes: [7]))), .message(.text("Hello")),
            ])
    }

    @Test func `broken data is 1007, a marked continuation or control frame 1002`() {
        func last(_ frames: [ClientFrame]) -> UInt16? {
            var parser = parser()
            return code(parser.events(frames.flatMap(\.bytes)).last)
        }
        #expect(last([ClientFrame(1, [0xFF, 0xFF, 0xFF], reserved: 4)]) == 1007)
        #expect(last([ClientFrame(1, Array(Self.hello[0].dropLast(3)), reserved: 4)]) == 1007)
        #expect(
            last([
                ClientFrame(1, Self.hello[0], isFinal: false, reserved: 4), ClientFrame(0, [0], reserved: 4),
            ]) == 1002)
        #expect(last([ClientFrame(9, reserved: 4)]) == 1002)
        #expect(last([ClientFrame(1, Self.hello[0], reserved: 6)]) == 1002)
    }

    @Test func `text is checked as it is decompressed, before the message ends`() throws {
        var compressed = ByteBuffer()
        try #require(Deflater(windowBits: 15)).deflate(ByteBuffer(bytes: [0x61, 0xF4, 0x90]), into: &compressed)
        var parser = parser()
        let frame = ClientFrame(1, compressed.bytes, isFinal: false, reserved: 4)
        #expect(code(parser.events(frame.bytes).last) == 1007)
    }

    @Test func `a bomb ends at the limit`() throws {
        let zeros = ByteBuffer(repeating: 0, count: 8 << 20)
        var compressed = ByteBuffer()
        try #require(Deflater(windowBits: 15)).deflate(zeros, into: &compressed)
        #expect(compressed.readableBytes < 100_000)
        let frame = ClientFrame(2, compressed.bytes, reserved: 4).bytes
        var small = parser(max: 1 << 20)
        #expect(code(small.events(frame).last) == 1009)
        var short = parser(max: (8 << 20) - 1)
        #expect(code(short.events(frame).last) == 1009)
        var exact = parser(max: 8 << 20)
        #expect(exact.events(frame) == [.message(.binary(zeros))])
    }

    @Test(arguments: 8...15, [false, true])
    func `what the encoder makes the parser reads, for every window`(bits: Int, keepsContext: Bool) throws {
        var deflate = PerMessageDeflate(serverKeepsContext: keepsContext, clientKeepsContext: keepsContext)
        deflate.serverWindowBits = bits
        let store = DeflateStore()
        var encoder = WebSocketEncoder(deflate, store: store)
        var parser = WebSocketParser(maxMessageBytes: 1 << 20, store: store, keepsContext: keepsContext)
        var random = SeededGenerator(seed: UInt64(bits))
        for size in [0, 0, 1, 100, 511, 512, 513, 5000, 70_001, 0, 20] {
            let isRandom = size % 2 == 0
            let payload = (0..<size).map { index in
                isRandom ? UInt8.random(in: 0...255, using: &random) : UInt8(truncatingIfNeeded: index / 300 % 7)
            }
            let message = WebSocketMessage.binary(ByteBuffer(bytes: payload))
            var bytes = ByteBuffer()
            if let rest = encoder.write(message, into: &bytes) { bytes.writeImmutableBuffer(rest) }
            let isCompressed = bytes.bytes[0] & 0x40 != 0
            if keepsContext { #expect(isCompressed) } else if size < 512 || isRandom { #expect(!isCompressed) }
            #expect(parser.events(masked(bytes.bytes)) == [.message(message)])
        }
    }

    /// Makes a client's frame of a server's.
    private func masked(_ frame: [UInt8]) -> [UInt8] {
        let headBytes = frame[1] == 127 ? 10 : frame[1] == 126 ? 4 : 2
        return ClientFrame(frame[0] & 0x0F, Array(frame[headBytes...]), reserved: frame[0] >> 4 & 7).bytes
    }

    @Test func `without compression frames are plain, in each form of length`() {
        var encoder = WebSocketEncoder(nil, store: DeflateStore())
        for (size, head) in [
            (0, [0x82, 0]), (125, [0x82, 125]), (126, [0x82, 126, 0, 126]), (65_535, [0x82, 126, 255, 255]),
            (65_536, [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] as [(Int, [UInt8])] {
            var bytes = ByteBuffer()
            let rest = encoder.write(.binary(ByteBuffer(repeating: 5, count: size)), into: &bytes)
            #expect(Array(bytes.bytes.prefix(head.count)) == head)
            #expect(bytes.readableBytes + (rest?.readableBytes ?? 0) == head.count + size)
        }
        var ping = ByteBuffer()
        WebSocketFrames.writeControl(.ping, ByteBuffer(bytes: [1, 2]), into: &ping)
        #expect(ping.bytes == [0x89, 2, 1, 2])
    }
}
