/// A JSON value as this module reads it: small texts of foreign origin, so tolerant of nothing but bounded in depth.
///
/// Foundation's decoder needs a type for each shape and costs several times as much; options are read once a job.
enum JSONNode: Sendable, Hashable {
    case null
    case bool(Bool)
    case number(Double)
    case string(String)
    case array([JSONNode])
    case object([String: JSONNode])

    /// The value of a text, or `nil` when it is not JSON or nests deeper than 64.
    init?(parsing text: String) {
        guard let node = JSONNode.parse(text, isBuilding: true) else { return nil }
        self = node
    }

    /// Whether a text is JSON; as ``init(parsing:)`` without making the value.
    static func isValid(_ text: String) -> Bool { parse(text, isBuilding: false) != nil }

    subscript(key: String) -> JSONNode? {
        if case .object(let members) = self { members[key] } else { nil }
    }

    var number: Double? {
        if case .number(let number) = self { number } else { nil }
    }

    /// A number cut to whole, within what a double holds exactly.
    var integer: Int? {
        guard let number, abs(number) <= 9_007_199_254_740_991 else { return nil }
        return Int(number)
    }

    var string: String? {
        if case .string(let text) = self { text } else { nil }
    }

    private static func parse(_ text: String, isBuilding: Bool) -> JSONNode? {
        var text = text
        return text.withUTF8 { bytes in
            var parser = JSONParser(bytes: bytes, isBuilding: isBuilding)
            return parser.document()
        }
    }
}

/// Reads RFC 8259; every function returns `nil` at the first byte that does not fit.
private struct JSONParser {
    let bytes: UnsafeBufferPointer<UInt8>
    /// Whether values are made; else every value reads as `null`.
    let isBuilding: Bool
    var index = 0

    init(bytes: UnsafeBufferPointer<UInt8>, isBuilding: Bool) {
        self.bytes = bytes
        self.isBuilding = isBuilding
    }

    mutating func document() -> JSONNode? {
        guard let node = value(depth: 0) else { return nil }
        skipSpace()
        return index == bytes.count ? node : nil
    }

    private var current: UInt8? { index < bytes.count ? bytes[index] : nil }

    private mutating func skipSpace() {
        while let byte = current, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { index += 1 }
    }

    private mutating func take(_ byte: Unicode.Scalar) -> Bool {
        guard current == UInt8(ascii: byte) else { return false }
        index += 1
        return true
    }

    private mutating func word(_ word: StaticString, _ node: JSONNode) -> JSONNode? {
        let count = word.utf8CodeUnitCount
        guard index + count <= bytes.count else { return nil }
        for offset in 0..<count where bytes[index + offset] != word.utf8Start[offset] { return nil }
        index += count
        return node
    }

    private mutating func value(depth: Int) -> JSONNode? {
        guard depth < 64 else { return nil }
        skipSpace()
        switch current {
        case UInt8(ascii: "n"): return word("null", .null)
        case UInt8(ascii: "t"): return word("true", .bool(true))
        case UInt8(ascii: "f"): return word("false", .bool(false))
        case UInt8(ascii: "\""): return string().map { isBuilding ? .string($0) : .null }
        case UInt8(ascii: "["): return array(depth: depth)
        case UInt8(ascii: "{"): return object(depth: depth)
        default: return number()
        }
    }

    private mutating func array(depth: Int) -> JSONNode? {
        index += 1
        var elements: [JSONNode] = []
        skipSpace()
        if take("]") { return isBuilding ? .array([]) : .null }
        while true {
            guard let element = value(depth: depth + 1) else { return nil }
            if isBuilding { elements.append(element) }
            skipSpace()
            if take("]") { return isBuilding ? .array(elements) : .null }
            guard take(",") else { return nil }
        }
    }

    private mutating func object(depth: Int) -> JSONNode? {
        index += 1
        var members: [String: JSONNode] = [:]
        skipSpace()
        if take("}") { return isBuilding ? .object([:]) : .null }
        while true {
            skipSpace()
            guard current == UInt8(ascii: "\""), let key = string() else { return nil }
            skipSpace()
            guard take(":"), let member = value(depth: depth + 1) else { return nil }
            if isBuilding { members[key] = member }
            skipSpace()
            if take("}") { return isBuilding ? .object(members) : .null }
            guard take(",") else { return nil }
        }
    }

    private mutating func number() -> JSONNode? {
        let start = index
        _ = take("-")
        guard let first = current, isDigit(first) else { return nil }
        if !take("0") { skipDigits() }
        if take(".") { guard skipDigits() else { return nil } }
        if take("e") || take("E") {
            if !take("+") { _ = take("-") }
            guard skipDigits() else { return nil }
        }
        guard isBuilding else { return .null }
        return Double(String(decoding: bytes[start..<index], as: UTF8.self)).map { .number($0) }
    }

    private func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    @discardableResult
    private mutating func skipDigits() -> Bool {
        let start = index
        while let byte = current, isDigit(byte) { index += 1 }
        return index > start
    }

    private mutating func string() -> String? {
        index += 1
        let start = index
        while let byte = current, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 0x20 { index += 1 }
        if take("\"") { return isBuilding ? String(decoding: bytes[start..<(index - 1)], as: UTF8.self) : "" }
        var units = Array(bytes[start..<index])
        while let byte = current, byte >= 0x20 {
            index += 1
            switch byte {
            case UInt8(ascii: "\""): return String(decoding: units, as: UTF8.self)
            case UInt8(ascii: "\\"):
                guard let scalar = escape() else { return nil }
                units.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
            default: units.append(byte)
            }
        }
        return nil
    }

    private mutating func escape() -> Unicode.Scalar? {
        guard let byte = current else { return nil }
        index += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): break
        default: return nil
        }
        guard let unit = hexadecimal() else { return nil }
        guard (0xD800..<0xDC00).contains(unit) else { return Unicode.Scalar(unit) ?? "\u{FFFD}" }
        // The first half of a pair; one without its second half reads as U+FFFD.
        let afterFirst = index
        guard take("\\"), take("u"), let second = hexadecimal(), (0xDC00..<0xE000).contains(second) else {
            index = afterFirst
            return "\u{FFFD}"
        }
        return Unicode.Scalar(0x10000 + (unit - 0xD800) << 10 + (second - 0xDC00))
    }

    private mutating func hexadecimal() -> UInt32? {
        guard index + 4 <= bytes.count else { return nil }
        var unit: UInt32 = 0
        for byte in bytes[index..<(index + 4)] {
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else { return nil }
            unit = unit << 4 | UInt32(digit)
        }
        index += 4
        return unit
    }
}
