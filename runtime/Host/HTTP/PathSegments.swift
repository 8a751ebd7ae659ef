/// Splits paths into segments.
enum PathSegments {
    /// The segments of a path that begins with a slash and has no escapes.
    static func split(_ bytes: UnsafeBufferPointer<UInt8>) -> [Range<Int>] {
        var segments: [Range<Int>] = []
        segments.reserveCapacity(8)
        var start = 1
        for index in 1..<max(1, bytes.count) where bytes[index] == UInt8(ascii: "/") {
            segments.append(start..<index)
            start = index + 1
        }
        segments.append(start..<bytes.count)
        return segments
    }

    /// The decoded segments one behind the other, and where each is; `nil` for a wrong escape.
    static func decode(_ bytes: UnsafeBufferPointer<UInt8>) -> (bytes: [UInt8], segments: [Range<Int>])? {
        var decoded: [UInt8] = []
        decoded.reserveCapacity(bytes.count)
        var segments: [Range<Int>] = []
        for segment in split(bytes) {
            let start = decoded.count
            var index = segment.lowerBound
            while index < segment.upperBound {
                if bytes[index] == UInt8(ascii: "%") {
                    guard index + 2 < segment.upperBound, let high = nibble(bytes[index + 1]),
                        let low = nibble(bytes[index + 2])
                    else { return nil }
                    decoded.append(high << 4 | low)
                    index += 3
                } else {
                    decoded.append(bytes[index])
                    index += 1
                }
            }
            guard String(validating: decoded[start...], as: UTF8.self) != nil else { return nil }
            segments.append(start..<decoded.count)
        }
        return (decoded, segments)
    }

    private static func nibble(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
