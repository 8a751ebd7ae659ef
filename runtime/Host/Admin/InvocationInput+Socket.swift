internal import FunctionKit

extension InvocationInput {
    private static let messageLimit = 1000

    /// Reads a socket's request and what its client says.
    static func socket(
        _ json: PositionedJSON, _ route: String, _ requestID: String, _ reader: inout StrictReader
    ) -> InvocationInput? {
        let keys = ["messages", "limit", "seconds"]
        guard let (request, root) = request(json, "GET", route, requestID, also: keys, &reader) else { return nil }
        var script = RecordedSocket.Script()
        if let protocols = WebSocketHandshake.protocols(request.headers[.webSocketProtocol]) {
            script.protocols = protocols
        } else {
            reader.report(json["headers"] ?? json, "headers.sec-websocket-protocol", "must be different tokens")
        }
        let expected = "an array of up to \(messageLimit) messages: texts, JSON, or {\"base64\": …}"
        let messages = reader.value(root, "messages", expected) { json -> [WebSocketMessage]? in
            guard let elements = json.elements, elements.count <= messageLimit else { return nil }
            let messages = elements.compactMap { WebSocketMessage(fixture: $0) }
            return messages.count == elements.count ? messages : nil
        }
        script.messages = messages ?? []
        script.limit = reader.integer(root, "limit", in: 1...1000) ?? script.limit
        script.stay = reader.number(root, "seconds", in: 0.01...3600).map { .seconds($0) }
        return .socket(request, script)
    }
}
