import FunctionKit
import NIOCore

// Commands are written straight into the connection's buffer rather than with redisFormatCommandArgv: that call wants
// every argument pinned in memory at once, allocates a string of its own, and its result is copied once more into what
// NIO sends. The tests compare the bytes of both.
extension ByteBuffer {
    /// Writes a command as an array of bulk strings.
    mutating func writeRedisCommand(_ command: RedisCommand, scripts: inout ScriptTable, wholeScript: Bool = false) {
        switch command.form {
        case .strings(let arguments):
            writeRedisHeader("*", arguments.count)
            for argument in arguments { writeRedisBulk(argument) }
        case .arguments(let arguments):
            writeRedisHeader("*", arguments.count)
            for argument in arguments { writeRedisBulk(argument) }
        case .script(let script, let keys, let arguments):
            writeRedisHeader("*", 3 + keys.count + arguments.count)
            if !wholeScript, let digest = scripts.digestOfKnown(script) {
                writeRedisBulk("EVALSHA")
                writeRedisBulk(digest)
            } else {
                writeRedisBulk("EVAL")
                writeRedisBulk(script.source)
            }
            writeRedisBulk(Int64(keys.count))
            for key in keys { writeRedisBulk(key) }
            for argument in arguments { writeRedisBulk(argument) }
        }
    }

    private mutating func writeRedisBulk(_ argument: RedisArgument) {
        switch argument {
        case .string(let text): writeRedisBulk(text)
        case .bytes(let bytes): bytes.withUnsafeReadableBytes { writeRedisBulk($0) }
        case .integer(let number): writeRedisBulk(number)
        }
    }

    private mutating func writeRedisBulk(_ text: String) {
        var text = text
        text.withUTF8 { writeRedisBulk(UnsafeRawBufferPointer($0)) }
    }

    private mutating func writeRedisBulk(_ number: Int64) {
        // At most 20 characters.
        withUnsafeTemporaryAllocation(byteCount: 20, alignment: 1) { digits in
            let start = Self.writeDecimal(number.magnitude, before: 20, in: digits, isNegative: number < 0)
            writeRedisBulk(UnsafeRawBufferPointer(rebasing: digits[start..<20]))
        }
    }

    /// Writes length, bytes and both line ends in one go.
    private mutating func writeRedisBulk(_ bytes: UnsafeRawBufferPointer) {
        writeWithUnsafeMutableBytes(minimumWritableBytes: bytes.count + 24) { target in
            let start = Self.writeHeader("$", bytes.count, into: target)
            UnsafeMutableRawBufferPointer(rebasing: target[start...]).copyMemory(from: bytes)
            let end = start + bytes.count
            target[end] = 13
            target[end + 1] = 10
            return end + 2
        }
    }

    private mutating func writeRedisHeader(_ type: Unicode.Scalar, _ count: Int) {
        writeWithUnsafeMutableBytes(minimumWritableBytes: 22) { Self.writeHeader(type, count, into: $0) }
    }

    /// Writes the type, at most 19 digits, CR LF; gives the number of bytes.
    private static func writeHeader(
        _ type: Unicode.Scalar, _ count: Int, into target: UnsafeMutableRawBufferPointer
    ) -> Int {
        var digitCount = 1
        var rest = count / 10
        while rest > 0 {
            digitCount += 1
            rest /= 10
        }
        let end = 1 + digitCount
        _ = writeDecimal(UInt64(count), before: end, in: target, isNegative: false)
        target[0] = UInt8(ascii: type)
        target[end] = 13
        target[end + 1] = 10
        return end + 2
    }

    /// Writes decimal digits that end before a position, and gives where they begin.
    private static func writeDecimal(
        _ magnitude: UInt64, before end: Int, in digits: UnsafeMutableRawBufferPointer, isNegative: Bool
    ) -> Int {
        var rest = magnitude
        var position = end
        repeat {
            position -= 1
            digits[position] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        } while rest > 0
        if isNegative {
            position -= 1
            digits[position] = UInt8(ascii: "-")
        }
        return position
    }
}
