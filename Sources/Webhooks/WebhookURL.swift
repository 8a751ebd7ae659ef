internal import FunctionKit

/// A URL of a receiver, in the one reading that all of this module goes by.
///
/// What two readers could take for different hosts is refused: user-info, backslashes, spaces, percent escapes and letters
/// beyond ASCII in the host, empty ports. A host whose last label is a number is an IPv4 address in one of its forms, or
/// nothing (as in the WHATWG URL Standard, "ends in a number").
struct WebhookURL: Sendable, Hashable {
    /// Why a text is no such URL, for its sender.
    struct Problem: Error {
        let text: String
    }

    /// Longer ones are refused.
    static let maximumBytes = 2048

    let isSecure: Bool
    /// In lower case, without a dot at its end; an IPv6 address without brackets.
    let host: String
    let port: Int
    /// Path and query as in the request's first line.
    let target: String
    /// The address, when the host is one.
    let literal: NetworkAddress?

    init(_ text: String) throws(Problem) {
        guard text.utf8.count <= WebhookURL.maximumBytes else {
            throw Problem(text: "must have at most \(WebhookURL.maximumBytes) characters")
        }
        guard text.utf8.allSatisfy(WebhookURL.isURLByte) else {
            throw Problem(text: "must be a URL in ASCII, with xn-- names and percent escapes for everything else")
        }
        let schemeEnd = text.utf8.firstIndex(of: UInt8(ascii: ":")) ?? text.endIndex
        switch text[..<schemeEnd].lowercased() {
        case "https": isSecure = true
        case "http": isSecure = false
        default: throw Problem(text: "must begin with https://")
        }
        guard text[schemeEnd...].hasPrefix("://") else { throw Problem(text: "must begin with https://") }
        let rest = text[schemeEnd...].dropFirst(3)
        guard !rest.contains("#") else { throw Problem(text: "must have no fragment") }
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        guard !authority.contains("@") else { throw Problem(text: "must have no user-info") }
        let (name, digits) = try WebhookURL.split(authority)
        if let digits {
            guard digits.utf8.count <= 5, digits.utf8.allSatisfy(WebhookURL.isDigit), let number = Int(digits),
                (1...65_535).contains(number)
            else { throw Problem(text: "must have a port from 1 to 65535, or none") }
            port = number
        } else {
            port = isSecure ? 443 : 80
        }
        (host, literal) = try WebhookURL.host(name)
        let path = rest.dropFirst(authority.count)
        target = path.hasPrefix("/") ? String(path) : "/\(path)"
    }

    /// Host and port as the request's `Host` field has them.
    var authority: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return port == (isSecure ? 443 : 80) ? name : "\(name):\(port)"
    }

    /// The authority's host, with its brackets, and its port.
    private static func split(_ authority: Substring) throws(Problem) -> (Substring, Substring?) {
        let name: Substring
        if authority.hasPrefix("[") {
            guard let end = authority.firstIndex(of: "]") else { throw Problem(text: "must have a host") }
            name = authority[...end]
        } else {
            name = authority.prefix { $0 != ":" }
        }
        let rest = authority.dropFirst(name.count)
        if rest.isEmpty { return (name, nil) }
        guard rest.hasPrefix(":") else { throw Problem(text: "must have a host") }
        return (name, rest.dropFirst())
    }

    private static func host(_ text: Substring) throws(Problem) -> (String, NetworkAddress?) {
        if text.hasPrefix("[") {
            let inner = String(text.dropFirst().dropLast())
            guard inner.contains(":"), let address = NetworkAddress(inner) else {
                throw Problem(text: "must have an IPv6 address without a zone in its brackets")
            }
            return (inner.lowercased(), address)
        }
        let name = String(text.hasSuffix(".") ? text.dropLast() : text).lowercased()
        let labels = name.split(separator: ".", omittingEmptySubsequences: false)
        guard name.utf8.count <= 253, labels.allSatisfy({ (1...63).contains($0.utf8.count) }),
            name.utf8.allSatisfy(isHostByte), let last = labels.last
        else { throw Problem(text: "must have a host") }
        guard last.utf8.allSatisfy(isDigit) || last.hasPrefix("0x") else { return (name, nil) }
        guard let address = NetworkAddress(anyForm: name) else { throw Problem(text: "must have a host") }
        // In its usual form, for all who read it.
        return (address.description, address)
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    private static func isHostByte(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || isDigit(byte) || byte == UInt8(ascii: "-")
            || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "_")
    }

    /// Visible ASCII without what RFC 3986 has no place for; `\` above all, which some readers take for `/`.
    private static func isURLByte(_ byte: UInt8) -> Bool {
        (0x21...0x7E).contains(byte) && !"\"<>\\^`{|}".utf8.contains(byte)
    }
}
