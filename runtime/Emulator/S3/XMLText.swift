internal import NIOCore

/// Writes the XML of answers.
struct XMLText {
    static let declaration = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
    static let namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

    private(set) var text = ""

    /// A document in S3's namespace.
    static func document(_ name: String, _ content: (inout XMLText) -> Void) -> String {
        var xml = XMLText()
        xml.text = "<\(name) xmlns=\"\(namespace)\">"
        content(&xml)
        xml.text += "</\(name)>"
        return xml.text
    }

    /// An element with elements in it.
    mutating func element(_ name: String, _ content: (inout XMLText) -> Void) {
        text += "<\(name)>"
        content(&self)
        text += "</\(name)>"
    }

    /// An element with text in it.
    mutating func element(_ name: String, _ value: String) {
        text += "<\(name)>\(XMLText.escape(value))</\(name)>"
    }

    mutating func element(_ name: String, _ value: some BinaryInteger) { element(name, String(value)) }
    mutating func element(_ name: String, _ value: Bool) { element(name, value ? "true" : "false") }

    /// Escapes text. Control characters, which keys may hold, become references as S3 writes them, although XML 1.0 has
    /// no such characters: whoever lists such keys asks for `encoding-type=url`.
    static func escape(_ text: String) -> String {
        var escaped = ""
        escaped.reserveCapacity(text.utf8.count)
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            default:
                if scalar.value < 0x20 {
                    escaped += "&#x" + String(scalar.value, radix: 16, uppercase: true) + ";"
                } else {
                    escaped.unicodeScalars.append(scalar)
                }
            }
        }
        return escaped
    }
}
