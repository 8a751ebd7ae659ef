internal import FoundationEssentials
internal import FunctionKit
internal import NIOCore

extension InvocationInput {
    /// Reads a request; its path is the route with `parameters` put in unless it is given.
    static func request(
        _ json: PositionedJSON, _ method: String, _ route: String, _ requestID: String, also: [String],
        _ reader: inout StrictReader
    ) -> (request: Request, object: StrictReader.Object)? {
        let keys = ["method", "path", "parameters", "query", "headers", "body", "bodyBase64", "user"] + besides + also
        guard let root = reader.object(json, keys: keys) else { return nil }
        _ = reader.value(root, "method", "\"\(method)\", the function's") { $0.string == method ? method : nil }
        let given = strings(root, "parameters", &reader)
        var parameters = Dictionary(given) { first, _ in first }
        let path: String
        if let text = reader.string(root, "path") {
            path = text
            guard let found = Self.parameters(of: text, method, route) else {
                reader.report(json["path"] ?? json, "path", "must fit the function's route, \(route)")
                return nil
            }
            parameters = found
        } else {
            path = filled(route, parameters, json, &reader)
        }
        var headers = HTTPFields()
        for (name, value) in strings(root, "headers", &reader) {
            guard let field = HTTPField.Name(name), HTTPField.isValidValue(value) else {
                reader.report(json["headers"] ?? json, "headers.\(name)", "is no valid header field")
                continue
            }
            headers.append(HTTPField(name: field, value: value))
        }
        var body = ByteBuffer()
        if let value = json["body"], !value.isNull {
            if let text = value.string {
                body.writeString(text)
            } else {
                body.writeString(value.text())
                if headers[.contentType] == nil { headers[.contentType] = "application/json" }
            }
        }
        if let bytes = reader.value(root, "bodyBase64", "bytes in base64", { Data(base64Encoded: $0.string ?? "?") }) {
            body = ByteBuffer(bytes: bytes)
        }
        let request = Request(
            method: HTTPRequest.Method(rawValue: method) ?? .get, path: path,
            query: reader.string(root, "query") ?? "", headers: headers, body: body, parameters: parameters,
            id: requestID, user: user(json, root, &reader))
        return (request, root)
    }

    /// Who is said to call: nobody known with `null`, the host itself where nothing is said.
    private static func user(
        _ json: PositionedJSON, _ root: StrictReader.Object, _ reader: inout StrictReader
    ) -> User? {
        guard let given = json["user"] else { return .local }
        guard !given.isNull, let user = reader.object(root, "user", keys: ["id", "isAdmin"]) else { return nil }
        let id = reader.value(user, "id", "a text of 1…256 bytes without control characters") { json in
            json.string.flatMap { isUserID($0) ? $0 : nil }
        }
        if given["id"] == nil { reader.report(given, "user.id", "is required") }
        return User(id: id ?? "", isAdmin: reader.bool(user, "isAdmin") ?? false)
    }

    private static func isUserID(_ text: String) -> Bool {
        (1...256).contains(text.utf8.count) && text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
    }

    /// A JSON body without any of an event's fields is a structured event.
    static func asEvent(_ request: Request) -> Request {
        guard request.headers[.contentType] == "application/json",
            !request.headers.contains(where: { $0.name.canonicalName.hasPrefix("ce-") })
        else { return request }
        var request = request
        request.headers[.contentType] = "application/cloudevents+json"
        return request
    }

    private static func strings(
        _ root: StrictReader.Object, _ key: String, _ reader: inout StrictReader
    ) -> [(String, String)] {
        let pairs = reader.value(root, key, "an object of strings") { json -> [(String, String)]? in
            guard let members = json.members else { return nil }
            let pairs = members.compactMap { member in member.value.string.map { (member.key, $0) } }
            return pairs.count == members.count ? pairs : nil
        }
        return pairs ?? []
    }

    private static func parameters(of path: String, _ method: String, _ route: String) -> [String: String]? {
        let only = Router<Bool>.Route(method: method, path: route, owner: "", endpoint: true)
        guard let router = try? Router([only]), path.hasPrefix("/"),
            case .found(_, let parameters) = router.match(method: method, path: path)
        else { return nil }
        return parameters
    }

    private static func filled(
        _ route: String, _ parameters: [String: String], _ json: PositionedJSON, _ reader: inout StrictReader
    ) -> String {
        var names: Set<String> = []
        let segments = route.split(separator: "/", omittingEmptySubsequences: false).map { segment -> String in
            guard segment.hasPrefix(":") else { return String(segment) }
            let name = String(segment.dropFirst())
            names.insert(name)
            if let value = parameters[name], !value.isEmpty { return PercentEncoding.encode(value) }
            reader.report(json["parameters"] ?? json, "parameters.\(name)", "is required unless path is given")
            return ""
        }
        for name in parameters.keys.sorted() where !names.contains(name) {
            reader.report(json["parameters"] ?? json, "parameters.\(name)", "is no parameter of \(route)")
        }
        return segments.joined(separator: "/")
    }
}
