internal import FunctionKit

/// Takes secrets out of what is recorded, by their names: `<redacted>` stands in their place.
///
/// A name counts without case, hyphens, underscores and dots, and hides what it names when one of the words is in it:
/// `X-Amz-Signature`, `accessToken`, `db_password`.
public struct Redaction: Sendable {
    /// The words that are always looked for.
    public static let words = [
        "password", "passwd", "passphrase", "secret", "token", "ticket", "apikey", "privatekey", "signature",
        "credential",
    ]
    /// The header fields that are hidden besides those whose name has such a word.
    public static let fields = ["authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key"]

    private let words: [String]

    /// Makes a redaction.
    ///
    /// - Parameter more: Further words.
    public init(also more: [String] = []) {
        words = Self.words + more.map(Self.plain).filter { !$0.isEmpty }
    }

    /// One that hides nothing, to see what another has changed.
    static let none = Redaction(words: [])

    private init(words: [String]) { self.words = words }

    /// Whether what has this name is a secret.
    func hides(_ name: String) -> Bool {
        let name = Self.plain(name)
        return words.contains { name.contains($0) }
    }

    /// Whether a header field of this name is a secret.
    func hides(field name: String) -> Bool { Self.fields.contains(name) || hides(name) }

    /// JSON without its secrets: members by their names, and those of URLs in texts.
    func json(_ json: PositionedJSON) -> PositionedJSON {
        switch json.value {
        case .null, .bool, .number: json
        case .string(let text): PositionedJSON(.string(self.text(text)))
        case .array(let elements): PositionedJSON(.array(elements.map(self.json)))
        case .object(let members):
            PositionedJSON(
                .object(
                    members.map { member in
                        let isHidden = hides(member.key) && !member.value.isNull
                        let value = isHidden ? PositionedJSON(.string(Expectation.redacted)) : self.json(member.value)
                        return .init(key: member.key, keyPosition: json.position, value: value)
                    }))
        }
    }

    /// A query or a form without its secrets.
    func query(_ query: String) -> String { pairs(query, fromStart: true) }

    /// A text in which the secrets in the queries of URLs are hidden.
    func text(_ text: String) -> String { pairs(text, fromStart: false) }

    /// Hides the values of the pairs `name=value` that follow `?`, `&` and `;`.
    private func pairs(_ text: String, fromStart: Bool) -> String {
        let bytes = Array(text.utf8)
        guard bytes.contains(UInt8(ascii: "=")) else { return text }
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count)
        var index = 0
        var isAtName = fromStart
        while index < bytes.count {
            if isAtName {
                let name = bytes[index...].prefix(while: Self.isName)
                result += name
                index = name.endIndex
                isAtName = false
                let decoded = String(decoding: name, as: UTF8.self)
                guard index < bytes.count, bytes[index] == UInt8(ascii: "="),
                    hides(PercentEncoding.decode(decoded, plusIsSpace: true) ?? decoded)
                else { continue }
                result += Array("=\(Expectation.redacted)".utf8)
                index = bytes[(index + 1)...].firstIndex(where: Self.endsValue) ?? bytes.count
            } else {
                isAtName = [UInt8(ascii: "?"), UInt8(ascii: "&"), UInt8(ascii: ";")].contains(bytes[index])
                result.append(bytes[index])
                index += 1
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    private static func isName(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "-_.%[]+".utf8.contains(byte)
        }
    }

    private static func endsValue(_ byte: UInt8) -> Bool { byte <= 0x20 || "&;#\"'<>\\)".utf8.contains(byte) }

    private static func plain(_ name: String) -> String {
        String(decoding: name.lowercased().utf8.filter { !"-_. ".utf8.contains($0) }, as: UTF8.self)
    }
}
