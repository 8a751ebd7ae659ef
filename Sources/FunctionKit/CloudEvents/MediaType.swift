/// The value of a field `Content-Type` (RFC 9110 section 8.3.1), as far as anybody here asks.
struct MediaType {
    /// `type/subtype` in lower case.
    let name: String
    /// The parameter `charset` in lower case, without quotes.
    let charset: String?

    init(_ text: String) {
        let parts = text.split(separator: ";", omittingEmptySubsequences: false).map { MediaType.trimmed($0) }
        name = (parts.first ?? "").lowercased()
        charset = parts.dropFirst().first { $0.lowercased().hasPrefix("charset=") }.map { part in
            part.dropFirst("charset=".count).lowercased().filter { $0 != "\"" }
        }
    }

    /// Whether the text has the form of a media type, with or without parameters, in visible ASCII.
    static func isValid(_ text: String) -> Bool {
        guard text.utf8.allSatisfy({ (0x20...0x7E).contains($0) || $0 == 0x09 }) else { return false }
        let media = trimmed(text.split(separator: ";", maxSplits: 1, omittingEmptySubsequences: false)[0])
        let names = media.split(separator: "/", omittingEmptySubsequences: false)
        return names.count == 2 && names.allSatisfy { !$0.isEmpty && $0.utf8.allSatisfy(isToken) }
    }

    private static func isToken(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"):
            true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }

    private static func trimmed(_ text: Substring) -> Substring {
        let isSpace: (Character) -> Bool = { $0 == " " || $0 == "\t" }
        guard let last = text.lastIndex(where: { !isSpace($0) }) else { return "" }
        return text[...last].drop(while: isSpace)
    }
}
