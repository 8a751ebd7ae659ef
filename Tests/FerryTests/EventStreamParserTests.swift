import NIOCore
import Testing

@testable import ferry

private typealias Event = EventStreamParser.Event

@Suite struct EventStreamParserTests {
    private static let text =
        "\u{FEFF}retry: 1500\n\n: comment\nevent: status\r\nid: 7\rdata: {\"a\":1}\r\n\r\n"
        + "data:one\ndata\ndata:  three\nretry: soon\n\nid: 8\u{0}\nevent: ping\n\ndata: x\nid\n\ndata: cut off"
    private static let events = [
        Event(name: "status", data: "{\"a\":1}", id: "7"),
        Event(name: "message", data: "one\n\n three", id: "7"),
        Event(name: "message", data: "x", id: ""),
    ]

    @Test func `reads what the standard describes`() throws {
        var parser = EventStreamParser()
        #expect(try parser.take(ByteBuffer(string: Self.text)) == Self.events)
        #expect(parser.retry == .milliseconds(1500))
    }

    @Test func `reads the same wherever the bytes are split`() throws {
        let bytes = Array(Self.text.utf8)
        for split in 0...bytes.count {
            var parser = EventStreamParser()
            var events = try parser.take(ByteBuffer(bytes: bytes[..<split]))
            events += try parser.take(ByteBuffer(bytes: bytes[split...]))
            #expect(events == Self.events, "split at \(split)")
        }
        var parser = EventStreamParser()
        #expect(try bytes.flatMap { try parser.take(ByteBuffer(bytes: [$0])) } == Self.events)
    }

    @Test func `refuses an event that does not end`() throws {
        var parser = EventStreamParser()
        let chunk = ByteBuffer(repeating: UInt8(ascii: "a"), count: 1 << 20)
        #expect(throws: CommandFailure.self) {
            for _ in 0...(EventStreamParser.limitBytes >> 20) { _ = try parser.take(chunk) }
        }
    }
}
