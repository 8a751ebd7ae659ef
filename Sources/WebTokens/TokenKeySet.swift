internal import FoundationEssentials

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
    public init(pem text: String) throws(TokenError) {
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
                keys.append(try TokenKey(subjectPublicKeyInfo: Array(bytes), id: nil))
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
    public init(jwks bytes: [UInt8]) throws(TokenError) {
        guard let set = try? JSONDecoder().decode(WebKeySet.self, from: Data(bytes)) else {
            throw TokenError(.badKey, "It is no JWK Set.")
        }
        guard set.keys.count <= TokenKeySet.maxKeyCount else {
            throw TokenError(.badKey, "It has more than \(TokenKeySet.maxKeyCount) keys.")
        }
        keys = set.keys.compactMap { $0.value?.tokenKey }
    }

    /// How many keys there are.
    public var count: Int { keys.count }
}

private struct WebKeySet: Decodable {
    /// An element that may be of any shape.
    struct Element: Decodable {
        let value: WebKey?

        init(from decoder: any Decoder) throws {
            value = try? WebKey(from: decoder)
        }
    }

    let keys: [Element]
}
