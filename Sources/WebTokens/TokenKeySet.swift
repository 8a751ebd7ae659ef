internal import FoundationEssentials
internal import JWTKit

/// The keys that tokens are verified with.
public struct TokenKeySet: Sendable {
    /// The most keys of a set.
    public static let maxKeyCount = 100

    let keys: [TokenKey]

    /// Makes a set of keys.
    public init(_ keys: [TokenKey]) { self.keys = keys }

    /// Reads public keys as PEM (`BEGIN PUBLIC KEY`, RFC 7468 section 13). Each may verify every token of its algorithm.
    ///
    /// - Throws: ``TokenError`` with code `badKey` when there is none, one is wrong, or there are too many.
    public init(pem text: String) async throws(TokenError) {
        var keys: [TokenKey] = []
        var body: String?
        for line in text.split(whereSeparator: \.isNewline) {
            let line = line.filter { !$0.isWhitespace }
            switch line {
            case "-----BEGINPUBLICKEY-----": body = ""
            case "-----ENDPUBLICKEY-----":
                guard let text = body, let bytes = Data(base64Encoded: text), keys.count < TokenKeySet.maxKeyCount
                else {
                    throw TokenError(.badKey, "It holds a public key that cannot be read.")
                }
                keys.append(try await TokenKey(pem: TokenKeySet.pem(bytes)))
                body = nil
            default: body?.append(line)
            }
        }
        guard !keys.isEmpty, body == nil else {
            throw TokenError(.badKey, "It holds no public key in PEM form (BEGIN PUBLIC KEY).")
        }
        self.keys = keys
    }

    /// Reads a JWK Set (RFC 7517 section 5).
    ///
    /// Keys of other kinds, for other uses or for other algorithms are left out, as the section asks for; so are secrets,
    /// which do not belong in what is published.
    ///
    /// - Throws: ``TokenError`` with code `badKey` when it is no such set, or has too many keys.
    public init(jwks bytes: [UInt8]) async throws(TokenError) {
        guard let set = try? JSONDecoder().decode(WebKeySet.self, from: Data(bytes)) else {
            throw TokenError(.badKey, "It is no JWK Set.")
        }
        guard set.keys.count <= TokenKeySet.maxKeyCount else {
            throw TokenError(.badKey, "It has more than \(TokenKeySet.maxKeyCount) keys.")
        }
        var keys: [TokenKey] = []
        for case let key? in set.keys.map(\.key) {
            if let key = try? await TokenKey(key) { keys.append(key) }
        }
        self.keys = keys
    }

    /// The one form that is read everywhere: other programs break lines elsewhere.
    private static func pem(_ bytes: Data) -> String {
        let text = bytes.base64EncodedString(options: [.lineLength64Characters, .endLineWithLineFeed])
        return "-----BEGIN PUBLIC KEY-----\n\(text)\n-----END PUBLIC KEY-----\n"
    }

    /// How many keys there are.
    public var count: Int { keys.count }
}

private struct WebKeySet: Decodable {
    /// An element that may be of any shape.
    struct Element: Decodable {
        private struct Use: Decodable {
            let use: String?
        }

        /// The key, when it is one for signatures.
        let key: JWK?

        init(from decoder: any Decoder) throws {
            let use = try? Use(from: decoder).use ?? "sig"
            key = use == "sig" ? try? JWK(from: decoder) : nil
        }
    }

    let keys: [Element]
}
