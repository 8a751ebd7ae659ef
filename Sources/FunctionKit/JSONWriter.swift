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
        comma()
        buffer.writeInteger(UInt8(ascii: "\""))
        buffer.writeStaticString(name)
        buffer.writeStaticString("\":")
        needsComma = false
    }

    /// Writes a string, or `null`.
    public mutating func value(_ text: String?) {
        comma()
        guard let text else {
            buffer.writeStaticString("null")
            return
        }
        JSONWriter.writeEscaped(text, into: &buffer)
    }

    /// Writes an integer, or `null`.
    public mutating func value(_ number: Int?) {
        comma()
        if let number { buffer.writeString(String(number)) } else { buffer.writeStaticString("null") }
    }

    /// Writes a number in its shortest form that reads back the same, or `null` when it is not finite.
    public mutating func value(_ number: Double) {
        comma()
        guard number.isFinite else {
            buffer.writeStaticString("null")
            return
        }
        if number == number.rounded(), abs(number) < 1e15 {
            buffer.writeString(String(Int(number)))
        } else {
            buffer.writeString("\(number)")
        }
    }

    /// Writes `true` or `false`.
    public mutating func value(_ flag: Bool) {
        comma()
        buffer.writeStaticString(flag ? "true" : "false")
    }

    /// Writes JSON that is encoded already, unchecked.
    public mutating func raw(_ json: String) {
        comma()
        buffer.writeString(json)
    }

    private mutating func open(_ bracket: StaticString) {
        comma()
        buffer.writeStaticString(bracket)
        needsComma = false
    }

    private mutating func close(_ bracket: StaticString) {
        buffer.writeStaticString(bracket)
        needsComma = true
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
                guard byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") else { continue }
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
