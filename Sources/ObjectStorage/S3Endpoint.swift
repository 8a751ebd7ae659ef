/// Where a store answers: scheme, host and port.
public struct S3Endpoint: Sendable, Hashable, CustomStringConvertible {
    /// Whether the connection is TLS.
    public let isTLS: Bool
    /// The host; an IPv6 address without brackets.
    public let host: String
    /// The port, also where it is the scheme's own.
    public let port: Int
    /// Whether the text named the port: then URLs do too, also where it is the scheme's own.
    private let namesPort: Bool

    /// Reads `http://host`, `https://host:port` and the like: no user, path, query or fragment.
    ///
    /// - Throws: ``S3Error`` with code `.configuration`.
    public init(_ text: String) throws(S3Error) {
        let wrong = S3Error(.configuration, "the endpoint must be http://HOST[:PORT] or https://HOST[:PORT]")
        let rest: Substring
        if text.lowercased().hasPrefix("https://") {
            isTLS = true
            rest = text.dropFirst("https://".count)
        } else if text.lowercased().hasPrefix("http://") {
            isTLS = false
            rest = text.dropFirst("http://".count)
        } else {
            throw wrong
        }
        let authority = rest.hasSuffix("/") ? rest.dropLast() : rest
        var host = authority
        var port: Substring?
        if authority.hasPrefix("[") {
            guard let end = authority.firstIndex(of: "]") else { throw wrong }
            host = authority[authority.index(after: authority.startIndex)..<end]
            let after = authority[authority.index(after: end)...]
            guard after.isEmpty || after.hasPrefix(":"), host.contains(":") else { throw wrong }
            port = after.isEmpty ? nil : after.dropFirst()
        } else if let colon = authority.firstIndex(of: ":") {
            host = authority[..<colon]
            port = authority[authority.index(after: colon)...]
        }
        let isAddress = authority.hasPrefix("[")
        guard !host.isEmpty,
            host.utf8.allSatisfy({ S3Endpoint.isHostByte($0) || (isAddress && $0 == UInt8(ascii: ":")) })
        else { throw wrong }
        self.host = host.lowercased()
        namesPort = port != nil
        guard let port else {
            self.port = isTLS ? 443 : 80
            return
        }
        guard port.utf8.allSatisfy({ (48...57).contains($0) }), let number = Int(port), (1...65_535).contains(number)
        else { throw wrong }
        self.port = number
    }

    private init(awsHost: String) {
        isTLS = true
        host = awsHost
        port = 443
        namesPort = false
    }

    /// AWS's own endpoint of a region.
    public static func aws(region: String) -> S3Endpoint {
        S3Endpoint(awsHost: "s3.\(region).amazonaws.com\(region.hasPrefix("cn-") ? ".cn" : "")")
    }

    /// Host and, where it is not the scheme's own, port, as in the `Host` field.
    public var authority: String { port == (isTLS ? 443 : 80) ? bracketedHost : "\(bracketedHost):\(port)" }

    /// Host and, where it was named, port, as in URLs.
    var urlAuthority: String { namesPort ? "\(bracketedHost):\(port)" : bracketedHost }

    private var bracketedHost: String { host.contains(":") ? "[\(host)]" : host }

    var scheme: String { isTLS ? "https" : "http" }

    /// Whether the host is an address, before which no bucket's name can stand.
    var isAddress: Bool {
        host.contains(":") || host.utf8.allSatisfy { (48...57).contains($0) || $0 == UInt8(ascii: ".") }
    }

    /// The endpoint as a URL without a path.
    public var description: String { "\(scheme)://\(urlAuthority)" }

    private static func isHostByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}
