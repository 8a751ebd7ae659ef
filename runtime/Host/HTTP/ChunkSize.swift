internal import FunctionKit

/// The line before a chunk (RFC 9112 section 7.1): a size, and extensions, which are checked and ignored.
enum ChunkSize {
    /// - Returns: The size, and how many bytes of the line are not the size.
    static func parse(_ line: UnsafeRawBufferPointer) throws(HTTPError) -> (size: Int, extensionBytes: Int) {
        var size = 0
        var index = 0
        while index < line.count, let digit = nibble(line[index]) {
            guard index < 15 else { throw HTTPError.malformed("A chunk size is too large.") }
            size = size << 4 | digit
            index += 1
        }
        guard index > 0 else { throw HTTPError.malformed("A chunk size is not a hexadecimal number.") }
        let digits = index
        while index < line.count, HTTPBytes.isBlank(line[index]) { index += 1 }
        guard index == line.count ? index == digits : line[index] == UInt8(ascii: ";") else {
            throw HTTPError.malformed("A chunk size is not a hexadecimal number.")
        }
        while index < line.count {
            guard HTTPBytes.isFieldValue(line[index]) else {
                throw HTTPError.malformed("A chunk extension holds a control character.")
            }
            index += 1
        }
        return (size, line.count - digits)
    }

    private static func nibble(_ byte: UInt8) -> Int? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): Int(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): Int(byte - UInt8(ascii: "a")) + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): Int(byte - UInt8(ascii: "A")) + 10
        default: nil
        }
    }
}
