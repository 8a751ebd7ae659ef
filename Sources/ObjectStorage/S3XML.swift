/// An element of an S3 reply.
///
/// The replies are small and flat, so they are read into a tree: elements and their text, prefixes and attributes left
/// out. What S3 never sends is refused: a document type, nesting beyond ``S3XMLReader/maximumDepth``, text after the
/// root.
struct S3XMLElement: Sendable, Hashable {
    let name: String
    fileprivate(set) var text = ""
    fileprivate(set) var children: [S3XMLElement] = []

    /// The text of the first child of that name.
    subscript(name: String) -> String? { children.first { $0.name == name }?.text }

    /// All children of a name.
    func all(_ name: String) -> [S3XMLElement] { children.filter { $0.name == name } }

    /// Reads a document.
    init(parsing bytes: some Sequence<UInt8>) throws(S3XMLReader.Failure) {
        var reader = S3XMLReader(Array(bytes))
        self = try reader.read()
    }

    fileprivate init(name: String) { self.name = name }
}

/// Reads a document into elements.
struct S3XMLReader {
    static let maximumDepth = 16

    /// The document is not well-formed, or not one that S3 sends.
    struct Failure: Error, CustomStringConvertible {
        let offset: Int
        var description: String { "not an S3 reply at byte \(offset)" }
    }

    private let bytes: [UInt8]
    private var index = 0
    private var open: [S3XMLElement] = []

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func read() throws(Failure) -> S3XMLElement {
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { index = 3 }
        var root: S3XMLElement?
        while index < bytes.count {
            if bytes[index] != UInt8(ascii: "<") {
                try readText(isBetween: open.isEmpty)
            } else if skip("<?") {
                try skipPast("?>")
            } else if skip("<!--") {
                try skipPast("-->")
            } else if skip("<![CDATA[") {
                let start = index
                try skipPast("]]>")
                try append(String(validating: bytes[start..<(index - 3)], as: UTF8.self))
            } else if skip("</") {
                root = try close() ?? root
            } else {
                guard root == nil else { throw failure }
                index += 1
                root = try openElement() ?? root
            }
        }
        guard let root, open.isEmpty else { throw failure }
        return root
    }

    private var failure: Failure { Failure(offset: index) }

    /// Reads a start tag; gives the root when it is empty and the whole document.
    private mutating func openElement() throws(Failure) -> S3XMLElement? {
        let element = S3XMLElement(name: try readName())
        open.append(element)
        guard open.count <= S3XMLReader.maximumDepth else { throw failure }
        var quote: UInt8?
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            if let mark = quote {
                if byte == mark { quote = nil }
            } else if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") {
                quote = byte
            } else if byte == UInt8(ascii: "<") {
                throw failure
            } else if byte == UInt8(ascii: ">") {
                return bytes[index - 2] == UInt8(ascii: "/") ? closeTop() : nil
            }
        }
        throw failure
    }

    /// Reads an end tag; gives the root when it was the root's.
    private mutating func close() throws(Failure) -> S3XMLElement? {
        let name = try readName()
        while index < bytes.count, S3XMLReader.isSpace(bytes[index]) { index += 1 }
        guard skip(">"), open.last?.name == name else { throw failure }
        return closeTop()
    }

    private mutating func closeTop() -> S3XMLElement? {
        let element = open.removeLast()
        guard !open.isEmpty else { return element }
        open[open.count - 1].children.append(element)
        return nil
    }

    /// A name without its prefix.
    private mutating func readName() throws(Failure) -> String {
        let start = index
        while index < bytes.count, S3XMLReader.isNameByte(bytes[index]) { index += 1 }
        guard index > start, let name = String(validating: bytes[start..<index], as: UTF8.self) else { throw failure }
        return name.split(separator: ":").last.map { String($0) } ?? name
    }

    private mutating func readText(isBetween: Bool) throws(Failure) {
        let start = index
        while index < bytes.count, bytes[index] != UInt8(ascii: "<") { index += 1 }
        let raw = bytes[start..<index]
        guard isBetween else { return try append(S3XMLReader.decode(raw)) }
        guard raw.allSatisfy(S3XMLReader.isSpace) else { throw failure }
    }

    private mutating func append(_ text: String?) throws(Failure) {
        guard let text, !open.isEmpty else { throw failure }
        open[open.count - 1].text += text
    }

    private mutating func skip(_ text: StaticString) -> Bool {
        let isThere = text.withUTF8Buffer { bytes[index...].starts(with: $0) }
        if isThere { index += text.utf8CodeUnitCount }
        return isThere
    }

    private mutating func skipPast(_ text: StaticString) throws(Failure) {
        while index < bytes.count {
            if skip(text) { return }
            index += 1
        }
        throw failure
    }

    /// Text with its entities replaced: the five of XML and numbers.
    private static func decode(_ raw: ArraySlice<UInt8>) -> String? {
        guard let text = String(validating: raw, as: UTF8.self) else { return nil }
        guard text.utf8.contains(UInt8(ascii: "&")) else { return text }
        var decoded = ""
        var rest = text[...]
        while let mark = rest.firstIndex(of: "&") {
            decoded += rest[..<mark]
            guard let end = rest[mark...].firstIndex(of: ";"),
                let scalar = entity(rest[rest.index(after: mark)..<end])
            else { return nil }
            decoded.unicodeScalars.append(scalar)
            rest = rest[rest.index(after: end)...]
        }
        return decoded + rest
    }

    private static func entity(_ name: Substring) -> Unicode.Scalar? {
        switch name {
        case "amp": return "&"
        case "lt": return "<"
        case "gt": return ">"
        case "quot": return "\""
        case "apos": return "'"
        default:
            guard name.hasPrefix("#") else { return nil }
            let digits = name.dropFirst()
            let number = digits.hasPrefix("x") ? UInt32(digits.dropFirst(), radix: 16) : UInt32(digits)
            return number.flatMap { Unicode.Scalar($0) }
        }
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 32 || (9...13).contains(byte) }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: ":"), 0x80...0xFF:
            true
        default: false
        }
    }
}
