/// The tokens of a Swift source that matter for finding declarations: words and punctuation.
///
/// Comments (which nest) and the contents of string literals are left out; an interpolation's expression is part of its
/// literal and left out too. This is no parser: it knows where words and braces stand, which is all that is asked of it.
struct SwiftTokens {
    struct Token: Hashable {
        /// A word, a number, or one character of punctuation.
        let text: String
        /// The line, from 1.
        let line: Int
    }

    private(set) var tokens: [Token] = []
    private let bytes: [UInt8]
    private var index = 0
    private var line = 1

    static func tokens(of source: [UInt8]) -> [Token] {
        var scanner = SwiftTokens(bytes: source)
        scanner.scan()
        return scanner.tokens
    }

    /// Whether a text can name a type.
    static func isIdentifier(_ text: some StringProtocol) -> Bool {
        guard let first = text.utf8.first, first < 0x30 || first > 0x39 else { return false }
        return text.utf8.allSatisfy(isWordByte)
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private static func isWordByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), 0x80...:
            true
        default: false
        }
    }

    private func peek(_ offset: Int = 0) -> UInt8? {
        index + offset < bytes.count ? bytes[index + offset] : nil
    }

    private mutating func advance() {
        if bytes[index] == 0x0A { line += 1 }
        index += 1
    }

    private mutating func scan() {
        while let byte = peek() {
            switch byte {
            case UInt8(ascii: "/") where peek(1) == UInt8(ascii: "/"): skipLine()
            case UInt8(ascii: "/") where peek(1) == UInt8(ascii: "*"): skipBlockComment()
            case UInt8(ascii: "\""): skipString(hashes: 0)
            case UInt8(ascii: "#"):
                var hashes = 0
                while peek(hashes) == UInt8(ascii: "#") { hashes += 1 }
                if peek(hashes) == UInt8(ascii: "\"") {
                    index += hashes
                    skipString(hashes: hashes)
                } else {
                    index += hashes
                }
            case UInt8(ascii: "`"): index += 1
            case _ where Self.isWordByte(byte):
                let start = index
                while let next = peek(), Self.isWordByte(next) { index += 1 }
                tokens.append(Token(text: String(decoding: bytes[start..<index], as: UTF8.self), line: line))
            case 0...0x20: advance()
            default:
                tokens.append(Token(text: String(Unicode.Scalar(byte)), line: line))
                index += 1
            }
        }
    }

    private mutating func skipLine() {
        while let byte = peek(), byte != 0x0A { index += 1 }
    }

    private mutating func skipBlockComment() {
        var depth = 0
        while peek() != nil {
            if peek() == UInt8(ascii: "/"), peek(1) == UInt8(ascii: "*") {
                depth += 1
                index += 2
            } else if peek() == UInt8(ascii: "*"), peek(1) == UInt8(ascii: "/") {
                depth -= 1
                index += 2
                if depth == 0 { return }
            } else {
                advance()
            }
        }
    }

    /// Skips a literal from its opening quote: one line or three quotes, raw or not, interpolations included.
    private mutating func skipString(hashes: Int) {
        let quote = UInt8(ascii: "\"")
        let isLong = peek(1) == quote && peek(2) == quote
        let quotes = isLong ? 3 : 1
        index += quotes
        while let byte = peek() {
            if byte == UInt8(ascii: "\\"), hasHashes(hashes, at: 1) {
                index += 1 + hashes
                if peek() == UInt8(ascii: "(") {
                    skipInterpolation()
                } else if peek() != nil {
                    advance()
                }
            } else if byte == quote, (0..<quotes).allSatisfy({ peek($0) == quote }), hasHashes(hashes, at: quotes) {
                index += quotes + hashes
                return
            } else if byte == 0x0A, !isLong {
                return
            } else {
                advance()
            }
        }
    }

    private func hasHashes(_ count: Int, at offset: Int) -> Bool {
        (0..<count).allSatisfy { peek(offset + $0) == UInt8(ascii: "#") }
    }

    private mutating func skipInterpolation() {
        var depth = 0
        while let byte = peek() {
            switch byte {
            case UInt8(ascii: "("):
                depth += 1
                index += 1
            case UInt8(ascii: ")"):
                depth -= 1
                index += 1
                if depth == 0 { return }
            case UInt8(ascii: "\""): skipString(hashes: 0)
            case UInt8(ascii: "/") where peek(1) == UInt8(ascii: "*"): skipBlockComment()
            default: advance()
            }
        }
    }
}
