internal import FunctionKit
internal import Glibc

/// The character classes of RFC 9110 and 9112.
enum HTTPBytes {
    // One bit a character, for 0...63 and 64...127: letters, digits and !#$%&'*+-.^_`|~ (RFC 9110 section 5.6.2).
    private static let tokenLow: UInt64 = 0x03FF_6CFA_0000_0000
    private static let tokenHigh: UInt64 = 0x57FF_FFFF_C7FF_FFFE

    @inline(__always)
    static func isToken(_ byte: UInt8) -> Bool {
        if byte < 64 { return tokenLow >> UInt64(byte) & 1 == 1 }
        return byte < 128 && tokenHigh >> UInt64(byte - 64) & 1 == 1
    }

    /// Visible ASCII.
    @inline(__always)
    static func isVisible(_ byte: UInt8) -> Bool { byte > 0x20 && byte < 0x7F }

    /// What a field's value may hold (RFC 9110 section 5.5): no control character but the tab.
    @inline(__always)
    static func isFieldValue(_ byte: UInt8) -> Bool { byte >= 0x20 && byte != 0x7F || byte == 0x09 }

    @inline(__always)
    static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    static func firstLineFeed(in bytes: UnsafeRawBufferPointer, from start: Int) -> Int? {
        guard start < bytes.count, let base = bytes.baseAddress,
            let found = memchr(base + start, 0x0A, bytes.count - start)
        else { return nil }
        return UnsafeRawPointer(found) - base
    }

    /// Without the blanks at both ends.
    static func trim(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        var start = 0
        var end = bytes.count
        while start < end, isBlank(bytes[start]) { start += 1 }
        while end > start, isBlank(bytes[end - 1]) { end -= 1 }
        return UnsafeRawBufferPointer(rebasing: bytes[start..<end])
    }

    /// Whether the bytes are this word, which is in lower case, whatever the case of the bytes.
    static func equals(_ bytes: UnsafeRawBufferPointer, _ word: StaticString) -> Bool {
        guard bytes.count == word.utf8CodeUnitCount else { return false }
        for index in 0..<bytes.count {
            var byte = bytes[index]
            if byte >= 0x41, byte <= 0x5A { byte |= 0x20 }
            guard byte == word.utf8Start[index] else { return false }
        }
        return true
    }

    /// Calls `body` with each element of a comma-separated list, blanks trimmed.
    static func forEachElement(_ list: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Void) {
        var rest = list
        while true {
            let comma = rest.firstIndex(of: UInt8(ascii: ","))
            body(trim(UnsafeRawBufferPointer(rebasing: rest[..<(comma ?? rest.count)])))
            guard let comma else { return }
            rest = UnsafeRawBufferPointer(rebasing: rest[(comma + 1)...])
        }
    }
}

extension HTTPError {
    /// A request that breaks the protocol.
    static func malformed(_ message: String) -> HTTPError {
        HTTPError(.badRequest, code: "malformed_request", message: message)
    }
}
