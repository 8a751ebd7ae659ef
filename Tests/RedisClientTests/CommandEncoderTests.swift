import CHiredis
import FunctionKit
import Glibc
import NIOCore
import TestSupport
import Testing

@testable import RedisClient

@Suite struct CommandEncoderTests {
    private static func encode(_ command: RedisCommand) -> String {
        var buffer = ByteBuffer()
        var scripts = ScriptTable()
        buffer.writeRedisCommand(command, scripts: &scripts)
        return String(buffer: buffer)
    }

    /// The same command as hiredis formats it.
    private static func hiredis(_ arguments: [String]) -> String {
        let copies = arguments.map { strdup($0) }
        defer { for copy in copies { free(copy) } }
        var pointers = copies.map { UnsafePointer<CChar>($0) }
        let lengths = arguments.map { $0.utf8.count }
        var target: UnsafeMutablePointer<CChar>?
        let count = Int(redisFormatCommandArgv(&target, Int32(arguments.count), &pointers, lengths))
        defer { free(target) }
        return String(decoding: UnsafeRawBufferPointer(start: target, count: count), as: UTF8.self)
    }

    @Test(arguments: [
        ["PING"], ["SET", "key", ""], ["ECHO", "zwölf € 🚢"], ["GET", "\r\n$3\r\n"],
        ["X", String(repeating: "a", count: 9)], ["X", String(repeating: "b", count: 10)],
        ["X", String(repeating: "c", count: 99_999)], Array(repeating: "y", count: 1001),
    ])
    func writesWhatHiredisWrites(_ arguments: [String]) {
        #expect(Self.encode(RedisCommand(arguments)) == Self.hiredis(arguments))
        #expect(Self.encode(RedisCommand(arguments.map { RedisArgument.string($0) })) == Self.hiredis(arguments))
        let buffers = arguments.map { RedisArgument.bytes(ByteBuffer(string: $0)) }
        #expect(Self.encode(RedisCommand(buffers)) == Self.hiredis(arguments))
    }

    @Test(arguments: [0, 1, -1, 9, 10, 1_234_567_890, .max, .min] as [Int64])
    func writesIntegersInDecimal(_ number: Int64) {
        #expect(Self.encode(RedisCommand(["X", .integer(number)])) == Self.hiredis(["X", String(number)]))
    }

    @Test func sendsAScriptWholeOnceAndThenItsDigest() {
        let script = StoreScript(name: "one", source: "return 1")
        var scripts = ScriptTable()
        func next(_ script: StoreScript, whole: Bool = false) -> String {
            var buffer = ByteBuffer()
            let command = RedisCommand.evaluate(script, keys: ["k"], arguments: ["a", 7])
            buffer.writeRedisCommand(command, scripts: &scripts, wholeScript: whole)
            return String(buffer: buffer)
        }
        let whole = Self.hiredis(["EVAL", "return 1", "1", "k", "a", "7"])
        let short = Self.hiredis(["EVALSHA", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db", "1", "k", "a", "7"])
        #expect(next(script) == whole)
        #expect(next(script) == short)
        #expect(next(script, whole: true) == whole)
        scripts.forget()
        #expect(next(script) == whole)
        #expect(next(script) == short)
        // Another text under the same name is another script.
        #expect(next(StoreScript(name: "one", source: "return 2")).contains("return 2"))
    }

    @Test(arguments: [
        ("", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
        ("abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "84983e441c3bd26ebaae4aa1f95129e5e54670f1"
        ),
        (String(repeating: "a", count: 1_000_000), "34aa973cd4c4daa4f61eeb2bdbad27316534016f"),
    ])
    func digestsAreSHA1(_ text: String, _ digest: String) {
        #expect(SHA1.hex(of: text.utf8) == digest)
    }

    @Test func reconnectDelayGrowsToItsBoundAndBeginsAgain() {
        var delay = ReconnectDelay()
        var generator = SeededGenerator(seed: 7)
        for attempt in 0..<40 {
            let bound = min(50 << min(attempt, 10), 2000)
            let next = delay.next(using: &generator)
            #expect((.milliseconds(Int64(bound / 2)) ... .milliseconds(Int64(bound))).contains(next))
        }
        delay.reset()
        #expect(delay.next(using: &generator) <= .milliseconds(50))
    }
}
