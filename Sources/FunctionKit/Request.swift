/// An HTTP request as a handler sees it: complete, with its body in memory.
public struct Request: Sendable {
    /// The method. For `HEAD` on a `GET` route this is `GET`.
    public var method: HTTPRequest.Method
    /// The path as sent, percent-encoded, without the query.
    public var path: String
    /// The query as sent, percent-encoded, without the question mark; empty when there is none.
    public var query: String
    /// The header fields.
    public var headers: HTTPFields
    /// The body, at most the manifest's `maxBody` bytes.
    public var body: ByteBuffer
    /// The route's parameters by name, percent-decoded.
    public var parameters: [String: String]
    /// The id of this request: the caller's `x-request-id` or a new UUID.
    public var id: String
    /// The address of the peer, without port; `unix` for a Unix socket.
    public var remoteAddress: String
    /// Who calls, or `nil` for nobody known. Never `nil` where the manifest's `auth` asks for a user.
    public var user: User?

    /// Makes a request; the host does so, tests may.
    public init(
        method: HTTPRequest.Method, path: String, query: String = "", headers: HTTPFields = [:],
        body: ByteBuffer = ByteBuffer(), parameters: [String: String] = [:], id: String = "",
        remoteAddress: String = "127.0.0.1", user: User? = nil
    ) {
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = body
        self.parameters = parameters
        self.id = id
        self.remoteAddress = remoteAddress
        self.user = user
    }

    /// The route parameter of that name, percent-decoded, or `nil` when the route has none.
    public func parameter(_ name: String) -> String? { parameters[name] }

    /// The first query parameter of that name, percent-decoded (`+` is a space), or `nil`.
    public func queryParameter(_ name: String) -> String? {
        for pair in query.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let key = parts.first, PercentEncoding.decode(key, plusIsSpace: true) == name else { continue }
            return parts.count == 2 ? PercentEncoding.decode(parts[1], plusIsSpace: true) : ""
        }
        return nil
    }

    /// Decodes the body as JSON.
    ///
    /// - Throws: ``HTTPError``: 415 when the content type is given and is not JSON, 400 `malformed_json` when the body is
    ///   not JSON, 400 `validation_failed` with the field when a value has the wrong type.
    public func decode<Value: Decodable>(_ type: Value.Type = Value.self) throws -> Value {
        try requireJSON()
        return try JSON.decode(type, from: body)
    }

    /// Checks that the content type is JSON (`application/json` or `…+json`) or absent.
    ///
    /// - Throws: ``HTTPError`` 415.
    public func requireJSON() throws {
        guard let contentType = headers[.contentType] else { return }
        let media = contentType.split(separator: ";")[0...].first.map { $0.lowercased() } ?? ""
        let trimmed = media.filter { $0 != " " && $0 != "\t" }
        guard trimmed == "application/json" || trimmed.hasSuffix("+json") else {
            throw HTTPError(.unsupportedMediaType, message: "The body must be application/json.")
        }
    }
}
