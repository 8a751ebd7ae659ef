import FunctionKit

/// The parts of a Redis URL. Errors name the part, never its text where it may hold a password.
struct RedisURL {
    let endpoint: RedisConfiguration.Endpoint
    let user: String?
    let password: String?
    let database: Int
    let isTLS: Bool

    init(_ url: String) throws(RedisError) {
        guard let colon = url.firstIndex(of: ":") else { throw Self.wrong("no scheme; use redis:, rediss: or unix:") }
        var rest = url[url.index(after: colon)...]
        guard !rest.contains("#") else { throw Self.wrong("'#' must be percent-encoded") }
        let scheme = url[..<colon]
        switch scheme {
        case "redis", "rediss":
            guard rest.hasPrefix("//") else { throw Self.wrong("'//' is missing after the scheme") }
            rest = rest.dropFirst(2)
            guard !rest.contains("?") else { throw Self.wrong("no query is known here; the database is the path: /1") }
            let authority = rest.prefix { $0 != "/" }
            let path = rest[authority.endIndex...].dropFirst()
            (user, password) = try Self.credentials(authority)
            endpoint = try Self.hostAndPort(Self.afterCredentials(authority))
            database = path.isEmpty ? 0 : try Self.database(path)
            isTLS = scheme == "rediss"
        case "unix":
            let query = rest.firstIndex(of: "?").map { rest[rest.index(after: $0)...] }
            rest = rest.prefix { $0 != "?" }
            var authority: Substring = ""
            if rest.hasPrefix("//") {
                rest = rest.dropFirst(2)
                authority = rest.prefix { $0 != "/" }
                rest = rest[authority.endIndex...]
                guard Self.afterCredentials(authority).isEmpty else {
                    throw Self.wrong("a socket has no host; write unix:/path")
                }
            }
            guard rest.hasPrefix("/"), let path = PercentEncoding.decode(rest) else {
                throw Self.wrong("the socket's path is not absolute or wrongly encoded")
            }
            guard path.utf8.count <= 107 else { throw Self.wrong("a socket's path has at most 107 bytes") }
            (user, password) = try Self.credentials(authority)
            endpoint = .unix(path: path)
            database = try query.map { query throws(RedisError) in try Self.database(fromQuery: query) } ?? 0
            isTLS = false
        default:
            throw Self.wrong("the scheme is not redis, rediss or unix")
        }
    }

    private static func wrong(_ problem: String) -> RedisError { RedisError(.configuration, "Redis URL: \(problem)") }

    private static func afterCredentials(_ authority: Substring) -> Substring {
        authority.lastIndex(of: "@").map { authority[authority.index(after: $0)...] } ?? authority
    }

    private static func credentials(
        _ authority: Substring
    ) throws(RedisError) -> (user: String?, password: String?) {
        guard let at = authority.lastIndex(of: "@") else { return (nil, nil) }
        let information = authority[..<at]
        guard let colon = information.firstIndex(of: ":") else {
            throw wrong("a password is written :password@ or user:password@")
        }
        guard let user = PercentEncoding.decode(information[..<colon]),
            let password = PercentEncoding.decode(information[information.index(after: colon)...])
        else { throw wrong("user or password is wrongly percent-encoded") }
        guard !password.isEmpty else {
            if user.isEmpty { return (nil, nil) }
            throw wrong("a user needs a password")
        }
        return (user.isEmpty ? nil : user, password)
    }

    private static func hostAndPort(_ text: Substring) throws(RedisError) -> RedisConfiguration.Endpoint {
        var host = text
        var port: Substring?
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else { throw wrong("']' is missing after the IPv6 address") }
            host = text[text.index(after: text.startIndex)..<end]
            let rest = text[text.index(after: end)...]
            guard rest.isEmpty || rest.hasPrefix(":") else { throw wrong("only a port may follow ']'") }
            port = rest.isEmpty ? nil : rest.dropFirst()
        } else if let colon = text.lastIndex(of: ":") {
            host = text[..<colon]
            port = text[text.index(after: colon)...]
            guard !host.contains(":") else { throw wrong("an IPv6 address goes into brackets") }
        }
        guard !host.isEmpty else { throw wrong("the host is missing") }
        guard let port else { return .tcp(host: String(host), port: 6379) }
        guard port.utf8.allSatisfy(isDigit), let number = Int(port), (1...65_535).contains(number) else {
            throw wrong("the port is not a number from 1 to 65535")
        }
        return .tcp(host: String(host), port: number)
    }

    private static func database(fromQuery query: Substring) throws(RedisError) -> Int {
        guard query.hasPrefix("db=") else { throw wrong("the only query known is db=n") }
        return try database(query.dropFirst(3))
    }

    private static func database(_ text: Substring) throws(RedisError) -> Int {
        guard text.utf8.allSatisfy(isDigit), let number = Int32(text) else {
            throw wrong("the database is not a number from 0")
        }
        return Int(number)
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
}
