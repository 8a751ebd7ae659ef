/// One offer of `Sec-WebSocket-Extensions` (RFC 6455 section 9.1).
struct WebSocketExtension: Equatable {
    /// Tokens in lower case.
    var name: String
    var parameters: [Parameter] = []

    typealias Parameter = (name: String, value: String?)

    static func == (left: WebSocketExtension, right: WebSocketExtension) -> Bool {
        left.name == right.name && left.parameters.elementsEqual(right.parameters, by: ==)
    }

    /// Reads a list of offers.
    ///
    /// - Returns: `nil` when it is not of the grammar; such a handshake must fail.
    static func parse(_ list: String) -> [WebSocketExtension]? {
        var reader = Reader(rest: Substring(list).utf8)
        var offers: [WebSocketExtension] = []
        while true {
            reader.skipBlanks()
            // Empty elements count for nothing (RFC 9110 section 5.6.1).
            if reader.skip(",") { continue }
            if reader.isAtEnd { return offers }
            guard let offer = reader.offer() else { return nil }
            offers.append(offer)
            guard reader.isAtEnd || reader.skip(",") else { return nil }
        }
    }

    private struct Reader {
        var rest: Substring.UTF8View

        var isAtEnd: Bool { rest.isEmpty }

        mutating func skipBlanks() { rest = rest.drop(while: HTTPBytes.isBlank) }

        mutating func skip(_ character: Unicode.Scalar) -> Bool {
            guard rest.first == UInt8(ascii: character) else { return false }
            rest.removeFirst()
            return true
        }

        mutating func token() -> String? {
            let token = rest.prefix(while: HTTPBytes.isToken)
            guard !token.isEmpty else { return nil }
            rest = rest.dropFirst(token.count)
            return String(Substring(token))
        }

        /// A token in quotes, single characters of which may be escaped.
        mutating func quotedToken() -> String? {
            var token: [UInt8] = []
            while let byte = rest.popFirst(), byte != UInt8(ascii: "\"") {
                let character = byte == UInt8(ascii: "\\") ? rest.popFirst() : byte
                guard let character, HTTPBytes.isToken(character) else { return nil }
                token.append(character)
                if rest.isEmpty { return nil }
            }
            return token.isEmpty ? nil : String(decoding: token, as: UTF8.self)
        }

        mutating func offer() -> WebSocketExtension? {
            guard let name = token() else { return nil }
            var offer = WebSocketExtension(name: name.lowercased())
            skipBlanks()
            while skip(";") {
                skipBlanks()
                guard let name = token() else { return nil }
                skipBlanks()
                var value: String?
                if skip("=") {
                    skipBlanks()
                    value = skip("\"") ? quotedToken() : token()
                    guard value != nil else { return nil }
                    skipBlanks()
                }
                offer.parameters.append((name.lowercased(), value))
            }
            return offer
        }
    }
}
