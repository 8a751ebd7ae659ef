import FunctionKit
import NIOCore
import TestSupport
import Testing

@testable import RedisClient

@Suite struct ReplyParserTests {
    static let golden: [(bytes: String, value: RESPValue)] = [
        ("+OK\r\n", .status("OK")),
        ("+\r\n", .status("")),
        ("-ERR no such key\r\n", .error("ERR no such key")),
        (":0\r\n", .integer(0)),
        (":-42\r\n", .integer(-42)),
        (":9223372036854775807\r\n", .integer(.max)),
        (":-9223372036854775808\r\n", .integer(.min)),
        ("$-1\r\n", .null),
        ("$0\r\n\r\n", .text("")),
        ("$5\r\nhello\r\n", .text("hello")),
        ("$8\r\na\r\n$1\r\nb\r\n", .text("a\r\n$1\r\nb")),
        ("*-1\r\n", .null),
        ("*0\r\n", .array([])),
        ("*2\r\n$1\r\na\r\n:7\r\n", .array([.text("a"), .integer(7)])),
        (
            "*4\r\n*0\r\n*1\r\n+x\r\n-ERR inside\r\n*2\r\n$-1\r\n*-1\r\n",
            .array([.array([]), .array([.status("x")]), .error("ERR inside"), .array([.null, .null])])
        ),
        ("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", nested(.integer(1), 8)),
        ("$3000\r\n" + String(repeating: "x", count: 3000) + "\r\n", .text(String(repeating: "x", count: 3000))),
    ]

    private static func nested(_ value: RESPValue, _ depth: Int) -> RESPValue {
        (0..<depth).reduce(value) { value, _ in .array([value]) }
    }

    /// All replies in the given pieces, fed one after the other.
    private static func parse(_ pieces: [ByteBuffer], limit: Int = 1 << 20) throws(RedisError) -> [RESPValue] {
        let parser = try ReplyParser(maximumReplyBytes: limit)
        var replies: [RESPValue] = []
        for piece in pieces {
            try parser.feed(piece)
            while let reply = try parser.next() { replies.append(reply) }
        }
        return replies
    }

    @Test(arguments: golden.indices)
    func readsAReplyCutAnywhere(_ index: Int) throws {
        let (text, value) = Self.golden[index]
        let bytes = ByteBuffer(string: text)
        for cut in 0...bytes.readableBytes {
            let pieces = [bytes.getSlice(at: 0, length: cut)!, bytes.getSlice(at: cut, length: text.utf8.count - cut)!]
            #expect(try Self.parse(pieces) == [value])
        }
    }

    @Test func readsAStreamByteByByte() throws {
        let bytes = Self.golden.map(\.bytes).joined().utf8
        #expect(try Self.parse(bytes.map { ByteBuffer(bytes: [$0]) }) == Self.golden.map(\.value))
        #expect(try Self.parse([ByteBuffer(bytes: Array(bytes))]) == Self.golden.map(\.value))
    }

    @Test(arguments: [
        "HTTP/1.1 400 Bad Request\r\n", "\r\n", "PONG\r\n", ":x\r\n", ":1.5\r\n", ":\r\n", ":9223372036854775808\r\n",
        "$x\r\n", "$-2\r\n", "$99999999999999999999\r\n", "*-2\r\n", "*x\r\n", "*2147483648\r\n",
        "$3\r\nabcXY", "$3\r\nabc\r\r", "*1\r\n$1\r\nabc",
        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
        // RESP3, which was not asked for.
        "%1\r\n+a\r\n+b\r\n", "~1\r\n+a\r\n", ",1.5\r\n", "#t\r\n", "_\r\n", "=6\r\ntxt:ab\r\n", ">1\r\n+a\r\n",
        "*2\r\n:1\r\n#t\r\n", "*1\r\n_\r\n",
    ])
    func refusesWhatIsNotRESP2(_ text: String) {
        #expect(throws: RedisError(.protocolViolation, "")) { try Self.parse([ByteBuffer(string: text)]) }
        #expect(throws: RedisError(.protocolViolation, "")) {
            try Self.parse(text.utf8.map { ByteBuffer(bytes: [$0]) })
        }
    }

    @Test(arguments: ["$100000\r\n", "+", "*1000000\r\n"])
    func refusesAReplyBeyondTheBound(_ start: String) throws {
        let filler = start.hasPrefix("*") ? ":1\r\n" : "xxxx"
        let parser = try ReplyParser(maximumReplyBytes: 1000)
        try parser.feed(ByteBuffer(string: start))
        #expect(try parser.next() == nil)
        #expect(throws: RedisError(.protocolViolation, "")) {
            for _ in 0..<1000 {
                try parser.feed(ByteBuffer(string: filler))
                #expect(try parser.next() == nil)
            }
        }
    }

    @Test func countsOnlyTheReplyThatIsNotComplete() throws {
        let many = String(repeating: "$5\r\nhello\r\n", count: 1000)
        #expect(
            try Self.parse([ByteBuffer(string: many + "$5\r\nhe"), ByteBuffer(string: "llo\r\n")], limit: 20_000).count
                == 1001)
        let parser = try ReplyParser(maximumReplyBytes: 1000)
        for _ in 0..<1000 {
            try parser.feed(ByteBuffer(string: "*2\r\n$5\r\nhello\r\n"))
            #expect(try parser.next() == nil)
            try parser.feed(ByteBuffer(string: ":1\r\n"))
            #expect(try parser.next() != nil)
        }
    }

    @Test func announcedLengthsCostNoMemory() throws {
        let parser = try ReplyParser(maximumReplyBytes: 1000)
        try parser.feed(ByteBuffer(string: String(repeating: "*2147483647\r\n", count: 8)))
        #expect(try parser.next() == nil)
    }

    @Test func mutatedBytesGiveAValueOrAnErrorButNeverACrash() throws {
        var generator = SeededGenerator(seed: 2026)
        let original = Array(Self.golden.dropLast().map(\.bytes).joined().utf8)
        var valueCount = 0
        var errorCount = 0
        for _ in 0..<20_000 {
            var bytes = original
            for _ in 0..<Int.random(in: 1...6, using: &generator) {
                let place = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: bytes.remove(at: place)
                case 1: bytes.insert(UInt8.random(in: 0...255, using: &generator), at: place)
                case 2: bytes[place] = UInt8.random(in: 0...255, using: &generator)
                default: bytes[place] = Array("$*+-:\r\n0123456789".utf8).randomElement(using: &generator)!
                }
            }
            var pieces: [ByteBuffer] = []
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = Int.random(in: 1...64, using: &generator)
                pieces.append(ByteBuffer(bytes: rest.prefix(count)))
                rest = rest.dropFirst(count)
            }
            do {
                valueCount += try Self.parse(pieces).count
            } catch {
                #expect(error.code == .protocolViolation)
                errorCount += 1
            }
        }
        #expect(valueCount > 0)
        #expect(errorCount > 0)
    }
}
