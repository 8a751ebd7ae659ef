/// An element of a request's XML: a name without its prefix, text, and elements in it.
///
/// Reads what S3 clients send: elements, text, references, comments and CDATA. Attributes are skipped; a document type
/// is refused, so there is nothing to expand.
struct XMLNode: Sendable, Equatable {
    let name: String
    private(set) var text = ""
    private(set) var children: [XMLNode] = []

    /// Deeper than any request of S3.
    private static let maximumDepth = 16

    subscript(name: String) -> XMLNode? { children.first { $0.name == name } }

    /// Reads a document and checks its root's name.
    static func parse(_ bytes: [UInt8], root: String) throws(S3Fault) -> XMLNode {
        var reader = Reader(bytes: bytes)
        guard let node = reader.document(), node.name == root else { throw .malformedXML }
        return node
    }

    private struct Reader {
        let bytes: [UInt8]
        var index = 0

        init(bytes: [UInt8]) { self.bytes = bytes }

        mutating func document() -> XMLNode? {
            guard skipMisc(), let node = element(depth: 0), skipMisc(), index == bytes.count else { return nil }
            return node
        }

        /// Skips white space, comments and processing instructions; false for what must not be there.
        private mutating func skipMisc() -> Bool {
            while true {
                skipSpace()
                if skip("<?") {
                    guard skipPast("?>") else { return false }
                } else if skip("<!--") {
                    guard skipPast("-->") else { return false }
                } else {
                    return !starts(with: "<!")
                }
            }
        }

        private mutating func element(depth: Int) -> XMLNode? {
            guard depth < XMLNode.maximumDepth, skip("<"), let name = name() else { return nil }
            guard let isEmpty = attributes() else { return nil }
            var node = XMLNode(name: XMLNode.local(name))
            if isEmpty { return node }
            var text: [UInt8] = []
            while index < bytes.count {
                if skip("</") {
                    guard let end = self.name(), end == name else { return nil }
                    skipSpace()
                    guard skip(">"), let text = String(validating: text, as: UTF8.self) else { return nil }
                    node.text = text
                    return node
                } else if skip("<!--") {
                    guard skipPast("-->") else { return nil }
                } else if skip("<![CDATA[") {
                    let start = index
                    guard skipPast("]]>") else { return nil }
                    text += bytes[start..<(index - 3)]
                } else if bytes[index] == UInt8(ascii: "<") {
                    guard let child = element(depth: depth + 1) else { return nil }
                    node.children.append(child)
                } else if bytes[index] == UInt8(ascii: "&") {
                    guard let referred = reference() else { return nil }
                    text += referred
                } else {
                    text.append(bytes[index])
                    index += 1
                }
            }
            return nil
        }

        /// Skips the attributes of a start tag; whether the element is empty, or `nil` when it is not well-formed.
        private mutating func attributes() -> Bool? {
            while index < bytes.count {
                skipSpace()
                if skip("/>") { return true }
                if skip(">") { return false }
                guard name() != nil else { return nil }
                skipSpace()
                guard skip("=") else { return nil }
                skipSpace()
                if skip("\"") {
                    guard skipPast("\"") else { return nil }
                } else {
                    guard skip("'"), skipPast("'") else { return nil }
                }
            }
            return nil
        }

        private mutating func reference() -> [UInt8]? {
            guard let end = bytes[index...].prefix(12).firstIndex(of: UInt8(ascii: ";")) else { return nil }
            let name = String(decoding: bytes[(index + 1)..<end], as: UTF8.self)
            index = end + 1
            switch name {
            case "amp": return [UInt8(ascii: "&")]
            case "lt": return [UInt8(ascii: "<")]
            case "gt": return [UInt8(ascii: ">")]
            case "quot": return [UInt8(ascii: "\"")]
            case "apos": return [UInt8(ascii: "'")]
            default:
                guard name.hasPrefix("#") else { return nil }
                let isHexadecimal = name.hasPrefix("#x")
                let number = UInt32(name.dropFirst(isHexadecimal ? 2 : 1), radix: isHexadecimal ? 16 : 10)
                return number.flatMap { Unicode.Scalar($0) }.map { Array(String($0).utf8) }
            }
        }

        private mutating func name() -> [UInt8]? {
            let start = index
            while index < bytes.count, !" \t\r\n/>=<&\"'".utf8.contains(bytes[index]) { index += 1 }
            return index > start ? Array(bytes[start..<index]) : nil
        }

        private mutating func skipSpace() {
            while index < bytes.count, " \t\r\n".utf8.contains(bytes[index]) { index += 1 }
        }

        private func starts(with text: StaticString) -> Bool {
            text.withUTF8Buffer { bytes[index...].starts(with: $0) }
        }

        private mutating func skip(_ text: StaticString) -> Bool {
            guard starts(with: text) else { return false }
            index += text.utf8CodeUnitCount
            return true
        }

        private mutating func skipPast(_ text: StaticString) -> Bool {
            while index < bytes.count {
                if skip(text) { return true }
                index += 1
            }
            return false
        }
    }

    private static func local(_ name: [UInt8]) -> String {
        String(decoding: name, as: UTF8.self).split(separator: ":").last.map(String.init) ?? ""
    }
}
