/// A host's base URL in its parts, as a socket's client needs them.
public struct HostAddress: Sendable, Hashable {
    /// Whether it is `https`.
    public let isSecure: Bool
    /// Without the brackets of an IPv6 address.
    public let host: String
    /// The port, also where it is the scheme's own.
    public let port: Int
    /// What stands before every path, without a slash at its end.
    public let prefix: String

    /// Reads `http://host`, `https://host:port/prefix`, `http://[::1]:3000` and the like.
    ///
    /// - Returns: `nil` when the text is nothing of the kind, or holds a user, a query or a fragment.
    public init?(_ url: String) {
        guard let mark = url.firstRange(of: "://") else { return nil }
        switch url[..<mark.lowerBound].lowercased() {
        case "http": isSecure = false
        case "https": isSecure = true
        default: return nil
        }
        let rest = url[mark.upperBound...]
        guard rest.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") })
        else { return nil }
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        var path = rest[slash...]
        while path.last == "/" { path = path.dropLast() }
        prefix = String(path)
        let authority = rest[..<slash]
        guard !authority.contains("@") else { return nil }
        var port: Substring?
        if authority.first == "[" {
            guard let end = authority.firstIndex(of: "]") else { return nil }
            host = String(authority[authority.index(after: authority.startIndex)..<end])
            let tail = authority[authority.index(after: end)...]
            guard tail.isEmpty || tail.first == ":" else { return nil }
            if !tail.isEmpty { port = tail.dropFirst() }
        } else {
            let parts = authority.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            host = parts.first.map(String.init) ?? ""
            if parts.count == 2 { port = parts[1] }
        }
        guard !host.isEmpty else { return nil }
        if let port {
            guard let number = UInt16(port), number > 0 else { return nil }
            self.port = Int(number)
        } else {
            self.port = isSecure ? 443 : 80
        }
    }

    /// The base URL, without a slash at its end.
    public var url: String { "\(isSecure ? "https" : "http")://\(authority)\(prefix)" }

    /// The value of the field `Host`.
    public var authority: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return port == (isSecure ? 443 : 80) ? name : "\(name):\(port)"
    }
}
