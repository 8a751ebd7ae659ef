import FunctionKit
import NIOCore
import TestSupport
import Testing

@testable import Host

@Suite struct WebSocketParserTests {
    private func parser(_ maxMessageBytes: Int = 1 << 20) -> WebSocketParser {
        WebSocketParser(maxMessageBytes: maxMessageBytes)
    }

    private func events(_ frames: [ClientFrame], max: Int = 1 << 20) -> [WebSocketParser.Event] {
        var parser = parser(max)
        return parser.events(frames.flatMap(\.bytes))
    }

    private func code(_ event: WebSocketParser.Event?) -> UInt16? {
        if case .failed(let failure) = event { failure.code.rawValue } else { nil }
    }

    /// A frame may be wrong in two ways.
    private func withoutReason(_ event: WebSocketParser.Event) -> WebSocketParser.Event {
        if case .failed(let failure) = event {
            .failed(WebSocketFailure(code: failure.code, reason: ""))
        } else {
            event
        }
    }

    @Test(arguments: [0, 1, 125, 126, 127, 128, 65_535, 65_536, 70_001])
    func `messages of every form of length come out whole, however they are cut`(count: Int) {
        let payload = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        for piece in [1, 2, 3, 7, 8, 1000, 4096, Int.max] where piece > 3 || count < 1000 {
            var parser = parser()
            #expect(
                parser.events(ClientFrame(2, payload).bytes, by: piece) == [
                    .message(.binary(ByteBuffer(bytes: payload)))
                ])
            #expect(parser.isBetweenMessages)
        }
    }

    @Test func `control frames come between the fragments of a message`() {
        let frames: [ClientFrame] = [
            .text("fr", isFinal: false), ClientFrame(9, [1, 2]), ClientFrame(0, [], isFinal: false), ClientFrame(10),
            ClientFrame(9), ClientFrame(0, Array("og".utf8)), .text("next"),
        ]
        #expect(
            events(frames) == [
                .ping(ByteBuffer(bytes: [1, 2])), .pong, .ping(ByteBuffer()), .message(.text("frog")),
                .message(.text("next")),
            ])
    }

    @Test(
        arguments: [
            ("a reserved bit", [ClientFrame(1, reserved: 4)]), ("a reserved bit", [ClientFrame(2, reserved: 2)]),
            ("a reserved bit", [ClientFrame(1, reserved: 1)]), ("a reserved bit", [ClientFrame(9, reserved: 4)]),
            ("a reserved opcode", [ClientFrame(3)]), ("a reserved opcode", [ClientFrame(7)]),
            ("a reserved opcode", [ClientFrame(11)]), ("a reserved opcode", [ClientFrame(15)]),
            ("a fragmented ping", [ClientFrame(9, isFinal: false)]),
            ("a fragmented pong", [ClientFrame(10, isFinal: false)]),
            ("a fragmented close", [ClientFrame(8, isFinal: false)]),
            ("a long ping", [ClientFrame(9, [UInt8](repeating: 1, count: 126))]),
            ("nothing to continue", [ClientFrame(0)]), ("nothing to continue", [ClientFrame(0, isFinal: false)]),
            ("nothing to continue", [.text("a"), ClientFrame(0)]),
            ("a message within another", [.text("a", isFinal: false), .text("b")]),
            ("a message within another", [ClientFrame(2, isFinal: false), .text("b", isFinal: false)]),
            ("no mask", [ClientFrame(1, mask: nil)]), ("no mask", [ClientFrame(9, mask: nil)]),
            ("a length of 2 bytes for 125", [ClientFrame(2, [UInt8](repeating: 1, count: 125), lengthBytes: 2)]),
            ("a length of 8 bytes for 3", [ClientFrame(2, [1, 2, 3], lengthBytes: 8)]),
        ])
    func `what breaks the protocol is 1002`(what: String, frames: [ClientFrame]) {
        #expect(code(events(frames).last) == 1002, "\(what)")
    }

    @Test func `a frame fails at its first wrong bit`() {
        var parser = parser()
        #expect(code(parser.events([0x83]).first) == 1002)
        var second = self.parser()
        #expect(code(second.events([0x81, 0x05]).first) == 1002)
        var control = self.parser()
        #expect(code(control.events([0x89, 0xFE]).first) == 1002)
        var length = self.parser(.max)
        #expect(code(length.events([0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0]).first) == 1002)
        // Nothing is taken afterwards.
        #expect(length.events(ClientFrame.text("late").bytes).isEmpty)
    }

    @Test func `a message that is too large fails with its head`() {
        #expect(code(events([ClientFrame(2, [UInt8](repeating: 0, count: 1001))], max: 1000).first) == 1009)
        #expect(events([ClientFrame(2, [UInt8](repeating: 0, count: 1000))], max: 1000).count == 1)
        var parser = parser(1000)
        #expect(code(parser.events([0x82, 0xFE, 0x03, 0xE9]).first) == 1009)
        var huge = self.parser(1000)
        #expect(code(huge.events([0x82, 0xFF, 0x7F] + [UInt8](repeating: 0xFF, count: 7)).first) == 1009)
        let fragments = [
            ClientFrame(2, [UInt8](repeating: 0, count: 600), isFinal: false),
            ClientFrame(0, [UInt8](repeating: 0, count: 400), isFinal: false), ClientFrame(0, [1]),
        ]
        #expect(code(events(fragments, max: 1000).first) == 1009)
    }

    @Test func `text fails at the byte that is wrong, within a frame and across fragments`() {
        let good = Array("κόσμε".utf8)
        let frame = ClientFrame(1, good + [0xF4, 0x90, 0x80, 0x80] + good).bytes
        var parser = parser()
        // The head, the good part, the lead byte and the one that makes it wrong.
        #expect(parser.events(Array(frame[..<(6 + good.count + 1)])).isEmpty)
        #expect(code(parser.events([frame[6 + good.count + 1]]).first) == 1007)
        let fragments = [
            ClientFrame(1, good + [0xF4], isFinal: false), ClientFrame(0, [], isFinal: false),
            ClientFrame(0, [0x90], isFinal: false),
        ]
        #expect(code(events(fragments).first) == 1007)
        #expect(code(events([ClientFrame(1, [0xCE])]).first) == 1007)
        #expect(code(events([ClientFrame(1, [0xCE], isFinal: false), ClientFrame(0)]).first) == 1007)
        #expect(
            events([ClientFrame(1, [0xCE], isFinal: false), ClientFrame(9), ClientFrame(0, [0xBA])]) == [
                .ping(ByteBuffer()), .message(.text("κ")),
            ])
        #expect(events([ClientFrame(2, [0xFF, 0xFE])]).count == 1)
    }

    @Test func `close frames are read, and nothing after them`() {
        func close(_ payload: [UInt8]) -> [WebSocketParser.Event] {
            events([ClientFrame(8, payload), .text("late"), ClientFrame(3)])
        }
        #expect(close([]) == [.close(WebSocketClose(code: nil))])
        #expect(close([3, 232]) == [.close(WebSocketClose(code: .normal))])
        #expect(close([3, 232] + Array("bye ☃".utf8)) == [.close(WebSocketClose(code: .normal, reason: "bye ☃"))])
        #expect(code(close([3]).first) == 1002)
        #expect(code(close([3, 232, 0xCE]).first) == 1007)
        #expect(code(close([3, 232] + [UInt8](repeating: 0x61, count: 124)).first) == 1002)
    }

    @Test func `the codes that may be sent are those of the registry and of applications`() {
        let valid = Set(
            Array(1000...1003) + Array(1007...1014) + Array(3000...4999) as [UInt16])
        for number in UInt16(0)...5100 { #expect(WebSocketClose.mayBeSent(number) == valid.contains(number)) }
        #expect(!WebSocketClose.mayBeSent(65_535))
    }

    @Test func `a reason is cut at a character`() {
        let close = WebSocketClose(code: .goingAway, reason: String(repeating: "é", count: 62))
        #expect(close.payload.readableBytes == 2 + 122)
        #expect(String(validating: close.payload.bytes.dropFirst(2), as: UTF8.self) != nil)
        #expect(WebSocketClose(code: nil, reason: "x").payload.readableBytes == 0)
    }

    @Test func `many fragments cost no more than their bytes`() {
        var bytes = ClientFrame(2, [0], isFinal: false).bytes
        for _ in 0..<65_535 { bytes += ClientFrame(0, [1], isFinal: false).bytes }
        bytes += ClientFrame(0).bytes
        var parser = parser()
        let clock = ContinuousClock()
        var result: [WebSocketParser.Event] = []
        let time = clock.measure { result = parser.events(bytes, by: 16_384) }
        #expect(result.count == 1)
        // Copying the message for each fragment would be two gigabytes.
        #expect(time < .seconds(10))
    }

    @Test func `random frames give the same events however they are cut, and those of a plain reader`() {
        var random = SeededGenerator(seed: 40)
        for _ in 0..<600 {
            var frames: [ClientFrame] = []
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                let opcode = [0, 0, 1, 1, 2, 8, 9, 9, 10, 5].randomElement(using: &random) ?? 0
                let size = [0, 1, 5, 125, 126, 300].randomElement(using: &random) ?? 0
                let payload: [UInt8] = (0..<size).map { _ in
                    UInt8.random(in: 0...(Int.random(in: 0..<40, using: &random) == 0 ? 255 : 127), using: &random)
                }
                frames.append(
                    ClientFrame(
                        UInt8(opcode), payload, isFinal: Int.random(in: 0..<3, using: &random) > 0,
                        reserved: Int.random(in: 0..<30, using: &random) == 0 ? 4 : 0,
                        mask: (0..<4).map { _ in UInt8.random(in: 0...255, using: &random) }))
            }
            let bytes = frames.flatMap(\.bytes)
            let expected = PlainReader.events(frames, max: 500)
            for piece in [1, Int.random(in: 2...50, using: &random), Int.max] {
                var parser = parser(500)
                #expect(parser.events(bytes, by: piece).map(withoutReason) == expected.map(withoutReason))
            }
        }
    }
}

/// The rules once more, on whole frames.
private enum PlainReader {
    static func events(_ frames: [ClientFrame], max: Int) -> [WebSocketParser.Event] {
        var events: [WebSocketParser.Event] = []
        var message: (opcode: UInt8, bytes: [UInt8])?
        func fail(_ failure: WebSocketFailure) -> [WebSocketParser.Event] { events + [.failed(failure)] }
        for frame in frames {
            if frame.reserved != 0 { return fail(.violation("a reserved bit is set")) }
            switch frame.opcode {
            case 8, 9, 10:
                if !frame.isFinal { return fail(.violation("a control frame is fragmented")) }
                if frame.payload.count > 125 { return fail(.violation("a control frame is too long")) }
                if frame.opcode == 9 { events.append(.ping(ByteBuffer(bytes: frame.payload))) }
                if frame.opcode == 10 { events.append(.pong) }
                guard frame.opcode == 8 else { continue }
                do throws(WebSocketFailure) {
                    return events + [.close(try WebSocketClose.parse(ByteBuffer(bytes: frame.payload)))]
                } catch { return fail(error) }
            case 0:
                guard let begun = message else { return fail(.violation("there is nothing to continue")) }
                message = (begun.opcode, begun.bytes + frame.payload)
            case 1, 2:
                if message != nil { return fail(.violation("a message begins within another")) }
                message = (frame.opcode, frame.payload)
            default: return fail(.violation("an opcode is reserved"))
            }
            guard let current = message else { continue }
            if current.bytes.count > max { return fail(.tooBig) }
            if current.opcode == 1 {
                var validator = UTF8Validator()
                let isText = current.bytes.withUnsafeBytes { validator.take($0) }
                if !isText || frame.isFinal && !validator.isComplete { return fail(.notUTF8) }
            }
            guard frame.isFinal else { continue }
            events.append(
                .message(WebSocketMessage(current.opcode == 1 ? .text : .binary, ByteBuffer(bytes: current.bytes))))
            message = nil
        }
        return events
    }
}
