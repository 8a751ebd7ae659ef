/// Writes JSON text into a buffer without intermediate values: the form for answers on hot paths.
///
/// The caller opens and closes objects and arrays in order; commas are the writer's. Strings are escaped as RFC 8259
/// section 7 asks; numbers that are not finite are written as `null`.
public struct JSONWriter: Sendable {
    /// What has been written so far.
    public private(set) var buffer: ByteBuffer
    private var needsComma = false

    /// Makes a writer with room for so many bytes.
    public init(capacity: Int = 512) {
        buffer = ByteBuffer()
        buffer.reserveCapacity(capacity)
    }

    /// Writes an object whose members `body` writes.
    public mutating func object(_ body: (inout JSONWriter) throws -> Void) rethrows {
        open("{")
        try body(&self)
        close("}")
    }

    /// Writes an array whose elements `body` writes.
    public mutating func array(_ body: (inout JSONWriter) throws -> Void) rethrows {
        open("[")
        try body(&self)
        close("]")
    }

    /// Writes a member's name; its value must follow.
    public mutating func key(_ name: StaticString) {
        let count = name.utf8CodeUnitCount
        write(atMost: count + 4) { target, start in
            target[start] = UInt8(ascii: "\"")
            for index in 0..<count { target[start + 1 + index] = name.utf8Start[index] }
            target[start + 1 + count] = UInt8(ascii: "\"")
            target[start + 2 + count] = UInt8(ascii: ":")
            return count + 3
        }
        needsComma = false
    }

    /// Writes a member's name that is known only when it is written, escaped; its value must follow.
    public mutating func key(escaping name: String) {
        comma()
        JSONWriter.writeEscaped(name, into: &buffer)
        buffer.writeStaticString(":")
        needsComma = false
    }

    /// Writes a string, or `null`.
    public mutating func value(_ text: String?) {
        guard var text else { return raw("null") }
        let isPlain = text.withUTF8 { bytes in
            guard bytes.allSatisfy({ !JSONWriter.needsEscape($0) }) else { return false }
            write(atMost: bytes.count + 3) { target, start in
                target[start] = UInt8(ascii: "\"")
                UnsafeMutableRawBufferPointer(rebasing: target[(start + 1)...]).copyMemory(
                    from: UnsafeRawBufferPointer(bytes))
                target[start + 1 + bytes.count] = UInt8(ascii: "\"")
                return bytes.count + 2
            }
            return true
        }
        if !isPlain {
            comma()
            JSONWriter.writeEscaped(text, into: &buffer)
        }
    }

    /// Writes an integer, or `null`.
    public mutating func value(_ number: Int?) {
        // A number of up to 15 characters is a string without memory of its own.
        raw(number.map { String($0) } ?? "null")
    }

    /// Writes a number in its shortest form that reads back the same, or `null` when it is not finite.
    public mutating func value(_ number: Double) {
        if !number.isFinite {
            raw("null")
        } else if number == number.rounded(), abs(number) < 1e15 {
            raw(String(Int(number)))
        } else {
            raw("\(number)")
        }
    }

    /// Writes `true` or `false`.
    public mutating func value(_ flag: Bool) {
        raw(flag ? "true" : "false")
    }

    /// Writes JSON that is encoded already, unchecked.
    public mutating func raw(_ json: String) {
        var json = json
        json.withUTF8 { bytes in
            write(atMost: bytes.count + 1) { target, start in
                UnsafeMutableRawBufferPointer(rebasing: target[start...]).copyMemory(
                    from: UnsafeRawBufferPointer(bytes))
                return bytes.count
            }
        }
    }

    private mutating func open(_ bracket: Unicode.Scalar) {
        write(atMost: 2) { target, start in
            target[start] = UInt8(ascii: bracket)
            return 1
        }
        needsComma = false
    }

    private mutating func close(_ bracket: Unicode.Scalar) {
        buffer.writeInteger(UInt8(ascii: bracket))
        needsComma = true
    }

    /// Writes a comma where one is due, and then up to `count - 1` bytes which `body` puts at the given place; it gives
    /// their number. One reservation for a whole token is what makes the writer quick.
    private mutating func write(atMost count: Int, _ body: (UnsafeMutableRawBufferPointer, Int) -> Int) {
        let start = needsComma ? 1 : 0
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { target in
            if start == 1 { target[0] = UInt8(ascii: ",") }
            return start + body(target, start)
        }
        needsComma = true
    }

    private static func needsEscape(_ byte: UInt8) -> Bool {
        byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
    }

    private mutating func comma() {
        if needsComma { buffer.writeInteger(UInt8(ascii: ",")) }
        needsComma = true
    }

    private static func writeEscaped(_ text: String, into buffer: inout ByteBuffer) {
        buffer.writeInteger(UInt8(ascii: "\""))
        var text = text
        text.withUTF8 { bytes in
            var start = 0
            for index in bytes.indices {
                let byte = bytes[index]
                guard needsEscape(byte) else { continue }
                buffer.writeBytes(bytes[start..<index])
                start = index + 1
                switch byte {
                case UInt8(ascii: "\""): buffer.writeStaticString("\\\"")
                case UInt8(ascii: "\\"): buffer.writeStaticString("\\\\")
                case UInt8(ascii: "\n"): buffer.writeStaticString("\\n")
                case UInt8(ascii: "\r"): buffer.writeStaticString("\\r")
                case UInt8(ascii: "\t"): buffer.writeStaticString("\\t")
                default:
                    let digits = Array("0123456789abcdef".utf8)
                    buffer.writeStaticString("\\u00")
                    buffer.writeBytes([digits[Int(byte >> 4)], digits[Int(byte & 15)]])
                }
            }
            buffer.writeBytes(bytes[start...])
        }
        buffer.writeInteger(UInt8(ascii: "\""))
    }
}
