internal import FunctionKit
internal import NIOCore

/// The values of frames. Texts and buffers carry their length in front (4 bytes), lists their count (4 bytes).
extension ByteBuffer {
    mutating func writeText(_ text: String) {
        let start = writerIndex
        writeInteger(UInt32(0))
        let count = writeString(text)
        setInteger(UInt32(clamping: count), at: start)
    }

    mutating func writeOptionalText(_ text: String?) {
        writeInteger(UInt8(text == nil ? 0 : 1))
        if let text { writeText(text) }
    }

    mutating func writeBytes(of buffer: ByteBuffer) {
        writeInteger(UInt32(clamping: buffer.readableBytes))
        writeImmutableBuffer(buffer)
    }

    mutating func writeDuration(_ duration: Duration) {
        writeInteger(TimeAmount(duration).nanoseconds)
    }

    mutating func writeFields(_ fields: HTTPFields) {
        writeInteger(UInt32(clamping: fields.count))
        for field in fields {
            writeText(field.name.rawName)
            let value = field.withUnsafeBytesOfValue { ByteBuffer(bytes: $0) }
            writeBytes(of: value)
        }
    }

    mutating func readNumber<Number: FixedWidthInteger>(
        _ type: Number.Type = Number.self
    ) throws(LinkViolation) -> Number {
        guard let number = readInteger(as: type) else { throw LinkViolation("a payload that is too short") }
        return number
    }

    mutating func readBytes() throws(LinkViolation) -> ByteBuffer {
        let count = try readNumber(UInt32.self)
        guard let bytes = readSlice(length: Int(count)) else { throw LinkViolation("a payload that is too short") }
        return bytes
    }

    mutating func readText() throws(LinkViolation) -> String {
        let count = try readNumber(UInt32.self)
        guard let text = readString(length: Int(count)) else { throw LinkViolation("a payload that is too short") }
        return text
    }

    mutating func readOptionalText() throws(LinkViolation) -> String? {
        try readNumber(UInt8.self) == 0 ? nil : try readText()
    }

    mutating func readDuration() throws(LinkViolation) -> Duration {
        .nanoseconds(try readNumber(Int64.self))
    }

    /// A count of things that take at least `least` bytes each, so that a wrong one reserves nothing.
    mutating func readCount(ofAtLeast least: Int) throws(LinkViolation) -> Int {
        let count = Int(try readNumber(UInt32.self))
        guard count * least <= readableBytes else { throw LinkViolation("a list that is too short") }
        return count
    }

    mutating func readFields() throws(LinkViolation) -> HTTPFields {
        let count = try readCount(ofAtLeast: 8)
        var fields = HTTPFields()
        fields.reserveCapacity(count)
        for _ in 0..<count {
            let name = try readFieldName()
            let value = try readBytes()
            fields.append(
                value.withUnsafeReadableBytes { bytes in
                    HTTPField(name: name, value: bytes.bindMemory(to: UInt8.self))
                })
        }
        return fields
    }

    private mutating func readFieldName() throws(LinkViolation) -> HTTPField.Name {
        let bytes = try readBytes()
        if let known = bytes.withUnsafeReadableBytes({ KnownField.find($0)?.name }) { return known }
        guard let name = HTTPField.Name(String(buffer: bytes)) else { throw LinkViolation("a field without a name") }
        return name
    }

    func readToEnd() throws(LinkViolation) {
        guard readableBytes == 0 else { throw LinkViolation("a payload that is too long") }
    }
}
