/// Reads strict JSON and keeps the place of every value and key.
///
/// A recursive descent over the bytes with a bound on its depth. Lines and columns are counted only when they are asked
/// for at the start of a value, from the last place known, so the text is walked at most twice.
struct JSONParser {
    typealias Position = PositionedJSON.Position
    typealias SyntaxError = PositionedJSON.SyntaxError

    private let bytes: [UInt8]
    private let maxDepth: Int
    private var index = 0
    private var counted = 0
    private var line = 1
    private var column = 1

    init(bytes: [UInt8], maxDepth: Int) {
        self.bytes = bytes
        self.maxDepth = maxDepth
    }

    mutating func document() throws(SyntaxError) -> PositionedJSON {
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { throw failure("a byte order mark is not allowed") }
        skipSpace()
        let value = try value(depth: 0)
        skipSpace()
        guard index == bytes.count else { throw failure("unexpected \(found) after the value") }
        return value
    }

    private mutating func value(depth: Int) throws(SyntaxError) -> PositionedJSON {
        guard depth < maxDepth else { throw failure("nested deeper than \(maxDepth) levels") }
        let start = position()
        let value: PositionedJSON.Value
        switch peek {
        case UInt8(ascii: "{"): value = try object(depth: depth)
        case UInt8(ascii: "["): value = try array(depth: depth)
        case UInt8(ascii: "\""): value = .string(try string())
        case let byte? where byte == UInt8(ascii: "-") || Self.isDigit(byte): value = .number(try number())
        case UInt8(ascii: "t"): value = try word("true", .bool(true))
        case UInt8(ascii: "f"): value = try word("false", .bool(false))
        case UInt8(ascii: "n"): value = try word("null", .null)
        default: throw failure("expected a value, found \(found)")
        }
        return PositionedJSON(position: start, value: value)
    }

    private mutating func object(depth: Int) throws(SyntaxError) -> PositionedJSON.Value {
        index += 1
        var members: [PositionedJSON.Member] = []
        var seen: [String: Position] = [:]
        skipSpace()
        if take(UInt8(ascii: "}")) { return .object([]) }
        while true {
            skipSpace()
            guard peek == UInt8(ascii: "\"") else {
                throw failure("expected a key in double quotes, found \(found)")
            }
            let keyPosition = position()
            let key = try string()
            if let first = seen.updateValue(keyPosition, forKey: key) {
                throw SyntaxError(position: keyPosition, reason: "the key \"\(key)\" occurs twice, first at \(first)")
            }
            skipSpace()
            guard take(UInt8(ascii: ":")) else { throw failure("expected \":\" after the key, found \(found)") }
            skipSpace()
            members.append(.init(key: key, keyPosition: keyPosition, value: try value(depth: depth + 1)))
            skipSpace()
            if take(UInt8(ascii: "}")) { return .object(members) }
            guard take(UInt8(ascii: ",")) else { throw failure("expected \",\" or \"}\", found \(found)") }
        }
    }

    private mutating func array(depth: Int) throws(SyntaxError) -> PositionedJSON.Value {
        index += 1
        var elements: [PositionedJSON] = []
        skipSpace()
        if take(UInt8(ascii: "]")) { return .array([]) }
        while true {
            skipSpace()
            elements.append(try value(depth: depth + 1))
            skipSpace()
            if take(UInt8(ascii: "]")) { return .array(elements) }
            guard take(UInt8(ascii: ",")) else { throw failure("expected \",\" or \"]\", found \(found)") }
        }
    }

    private mutating func string() throws(SyntaxError) -> String {
        let start = index
        index += 1
        var text: [UInt8] = []
        while let byte = peek {
            switch byte {
            case UInt8(ascii: "\""):
                index += 1
                guard let string = String(validating: text, as: UTF8.self) else {
                    index = start
                    throw failure("a string that is not UTF-8")
                }
                return string
            case UInt8(ascii: "\\"):
                text.append(contentsOf: Array(String(try escape()).utf8))
            case 0..<0x20:
                throw failure("a control character in a string; write it as an escape such as \\n")
            default:
                text.append(byte)
                index += 1
            }
        }
        index = start
        throw failure("a string without its closing quote")
    }

    private mutating func escape() throws(SyntaxError) -> Unicode.Scalar {
        let start = index
        index += 1
        guard let byte = peek else { throw failure("an escape that ends with the text") }
        index += 1
        switch byte {
        case UInt8(ascii: "\""): return "\""
        case UInt8(ascii: "\\"): return "\\"
        case UInt8(ascii: "/"): return "/"
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"):
            let unit = try hexadecimal(start)
            if let scalar = Unicode.Scalar(unit) { return scalar }
            guard unit < 0xDC00, take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else { break }
            let low = try hexadecimal(start)
            guard (0xDC00...0xDFFF).contains(low),
                let scalar = Unicode.Scalar(0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00))
            else { break }
            return scalar
        default:
            index = start
            throw failure("an unknown escape; JSON has \\\" \\\\ \\/ \\b \\f \\n \\r \\t and \\uXXXX")
        }
        index = start
        throw failure("half of a surrogate pair")
    }

    private mutating func hexadecimal(_ start: Int) throws(SyntaxError) -> UInt32 {
        let digits = bytes[index..<min(index + 4, bytes.count)]
        guard digits.count == 4, digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
            let value = UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
        else {
            index = start
            throw failure("\\u without its four hexadecimal digits")
        }
        index += 4
        return value
    }

    private mutating func number() throws(SyntaxError) -> String {
        let start = index
        _ = take(UInt8(ascii: "-"))
        let whole = digits()
        var isValid = whole == 1 || (whole > 1 && bytes[index - whole] != UInt8(ascii: "0"))
        if take(UInt8(ascii: ".")) { isValid = digits() > 0 && isValid }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            isValid = digits() > 0 && isValid
        }
        let text = String(decoding: bytes[start..<index], as: UTF8.self)
        guard isValid else {
            index = start
            throw failure("\"\(text)\" is not a number as JSON writes it")
        }
        return text
    }

    private mutating func digits() -> Int {
        let start = index
        while let byte = peek, Self.isDigit(byte) { index += 1 }
        return index - start
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    private mutating func word(
        _ text: String, _ value: PositionedJSON.Value
    ) throws(SyntaxError) -> PositionedJSON.Value {
        guard bytes[index...].starts(with: text.utf8) else { throw failure("expected a value, found \(found)") }
        index += text.utf8.count
        return value
    }

    private var peek: UInt8? { index < bytes.count ? bytes[index] : nil }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard peek == byte else { return false }
        index += 1
        return true
    }

    private mutating func skipSpace() {
        while let byte = peek, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { index += 1 }
    }

    /// What stands at the current place, for messages.
    private var found: String {
        guard let byte = peek else { return "the end of the file" }
        if byte == UInt8(ascii: "/") { return "\"/\" (JSON has no comments)" }
        let end = bytes[index...].prefix(16).firstIndex { $0 <= 0x20 || $0 == UInt8(ascii: ",") } ?? index + 16
        let text = String(decoding: bytes[index..<min(max(end, index + 1), bytes.count)], as: UTF8.self)
        return "\"\(text.first.map(String.init) ?? "")\""
    }

    private mutating func failure(_ reason: String) -> SyntaxError {
        SyntaxError(position: position(), reason: reason)
    }

    /// The line and column of the current place; walks on from the place asked for last, which is never behind it
    /// except when a failure goes back to where a token began.
    private mutating func position() -> Position {
        if index < counted { (counted, line, column) = (0, 1, 1) }
        while counted < index {
            let byte = bytes[counted]
            if byte == 0x0A {
                line += 1
                column = 1
            } else if byte & 0xC0 != 0x80 {
                column += 1
            }
            counted += 1
        }
        return Position(line: line, column: column)
    }
}
