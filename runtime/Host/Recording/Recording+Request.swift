internal import FoundationEssentials
internal import FunctionKit
internal import NIOCore

extension Recording {
    /// The header fields of requests that belong to their connection.
    private static let connectionFields: Set<String> = [
        "host", "upgrade", "transfer-encoding", "expect", "sec-websocket-key", "sec-websocket-version",
        "sec-websocket-extensions",
    ]

    func requestMembers(_ request: Request, _ redaction: Redaction) -> [(String, PositionedJSON.Value?)] {
        let (method, route) =
            switch function.manifest.trigger {
            case .http(let method, let path), .cloudEvents(let method, let path): (method, path)
            case .sse(let path), .webSocket(let path): ("GET", path)
            case .queue, .schedule: (request.method.rawValue, request.path)
            }
        let headers = Self.headers(request.headers, redaction, without: Self.connectionFields)
        var members: [(String, PositionedJSON.Value?)] = [
            ("method", .string(method)), ("path", .string(Self.path(request.path, route, redaction))),
            ("query", request.query.isEmpty ? nil : .string(redaction.query(request.query))), ("headers", headers),
        ]
        if request.user != .local { members.append(("user", Self.user(request.user))) }
        if request.body.readableBytes > 0 {
            members.append(Self.body(request.body, type: request.headers[.contentType], isSent: true, redaction))
        }
        return members
    }

    /// Who called. That a token ended is left out: a replay comes after it.
    private static func user(_ user: User?) -> PositionedJSON.Value {
        guard let user else { return .null }
        return PositionedJSON(object: [("id", .string(user.id)), ("isAdmin", user.isAdmin ? .bool(true) : nil)]).value
    }

    static func responseMembers(_ response: Response, _ redaction: Redaction) -> [(String, PositionedJSON.Value?)] {
        [
            ("status", PositionedJSON.number(response.status.code)), ("headers", headers(response.headers, redaction)),
            body(response.body, type: response.headers[.contentType], redaction),
        ]
    }

    /// What a request's client gets to see of an error; the request's id in it is another one each time.
    static func failureMembers(_ error: any Error, _ redaction: Redaction) -> [(String, PositionedJSON.Value?)] {
        let response = ErrorResponse.response(ErrorResponse.make(for: error).error, requestID: "")
        return responseMembers(response, redaction).map { key, value in
            guard key == "body", case .object(let members) = value else { return (key, value) }
            return (key, .object(members.filter { !JSONComparison.isVolatile(member: $0.key) }))
        }
    }

    /// A path in which the values of parameters that are secrets by their names are hidden.
    private static func path(_ path: String, _ route: String, _ redaction: Redaction) -> String {
        let segments = path.split(separator: "/", omittingEmptySubsequences: false)
        let pattern = route.split(separator: "/", omittingEmptySubsequences: false)
        guard segments.count == pattern.count else { return path }
        return zip(segments, pattern).map { segment, part in
            let isHidden = part.hasPrefix(":") && redaction.hides(String(part.dropFirst()))
            return isHidden ? PercentEncoding.encode(Expectation.redacted) : String(segment)
        }.joined(separator: "/")
    }

    private static func headers(
        _ fields: HTTPFields, _ redaction: Redaction, without others: Set<String> = []
    ) -> PositionedJSON.Value {
        var names: Set<String> = []
        var members: [(String, PositionedJSON.Value?)] = []
        for field in fields {
            let name = field.name.canonicalName
            guard !others.contains(name), !JSONComparison.isVolatile(field: name), names.insert(name).inserted else {
                continue
            }
            let text = redaction.hides(field: name) ? Expectation.redacted : redaction.text(fields[field.name] ?? "")
            members.append((name, .string(text)))
        }
        return PositionedJSON(object: members).value
    }

    /// A body: an object or an array as JSON, else its text, else its bytes. In a fixture that sends it (`isSent`) what does
    /// not say that it is JSON stays a text.
    private static func body(
        _ body: ByteBuffer, type: String?, isSent: Bool = false, _ redaction: Redaction
    ) -> (String, PositionedJSON.Value?) {
        guard let text = String(validating: body.readableBytesView, as: UTF8.self) else {
            return ("bodyBase64", .string(Data(body.readableBytesView).base64EncodedString()))
        }
        let type = type?.lowercased() ?? ""
        if type.hasPrefix("application/x-www-form-urlencoded") { return ("body", .string(redaction.query(text))) }
        let value = content(text, redaction)
        if case .string = value { return ("body", value) }
        guard isSent, !type.contains("json") else { return ("body", value) }
        let isPlain = value == content(text, .none)
        return ("body", .string(isPlain ? text : PositionedJSON(value).text()))
    }
}
