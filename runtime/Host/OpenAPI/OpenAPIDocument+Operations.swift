internal import FunctionKit

extension OpenAPIDocument {
    /// A function as an operation.
    ///
    /// - Parameters:
    ///   - operation: The function.
    ///   - names: The names that the path's parameters have in the document, from the left.
    /// - Returns: The operation.
    func value(_ operation: Operation, _ names: [String]) -> DocumentValue {
        let (manifest, interface) = (operation.manifest, operation.manifest.interface)
        let parameters = parameters(operation, names)
        return .members(
            ("operationId", .text(operation.name)),
            ("summary", manifest.description.map { .text(Self.summary($0)) }),
            ("description", manifest.description.map { .text($0) }),
            ("security", security(manifest)),
            ("parameters", parameters.isEmpty ? nil : .array(parameters)),
            ("requestBody", body(manifest)),
            ("responses", .object(answers(operation))),
            ("x-messages", messages(interface)))
    }

    /// The first sentence.
    private static func summary(_ text: String) -> String {
        let sentence = text.split(separator: ". ", maxSplits: 1).first.map(String.init) ?? text
        return sentence.hasSuffix(".") ? String(sentence.dropLast()) : sentence
    }

    private func parameters(_ operation: Operation, _ names: [String]) -> [DocumentValue] {
        let interface = operation.manifest.interface
        let own = operation.route.map { RoutePattern.parameters(of: $0.path) } ?? []
        let path = zip(own, names).map { own, name in
            let field = interface.path.first { $0.name == own }
            return parameter(name, "path", isRequired: true, field.map { .json($0.schema) } ?? ["type": "string"])
        }
        let others = [("query", interface.query), ("header", interface.headers)].flatMap { place, fields in
            fields.map { parameter($0.name, place, isRequired: $0.isRequired, .json($0.schema)) }
        }
        return path + others
    }

    private func parameter(
        _ name: String, _ place: String, isRequired: Bool, _ schema: DocumentValue
    ) -> DocumentValue {
        .members(
            ("name", .text(name)), ("in", .text(place)), ("required", isRequired ? true : nil), ("schema", schema))
    }

    private func body(_ manifest: FunctionManifest) -> DocumentValue? {
        let content = manifest.interface.body
        guard case .cloudEvents = manifest.trigger else {
            guard !content.isEmpty else { return nil }
            return ["required": true, "content": Self.content(content)]
        }
        let event: DocumentValue =
            if let data = content.first {
                ["allOf": [.reference("schemas/CloudEvent"), ["properties": ["data": .json(data.schema)]]]]
            } else {
                .reference("schemas/CloudEvent")
            }
        // In binary mode the attributes are header fields, and the body is the data.
        let data = content.isEmpty ? [("*/*", DocumentValue.object([]))] : Self.members(content)
        return [
            "required": true, "content": .object([("application/cloudevents+json", ["schema": event])] + data),
        ]
    }

    private static func content(_ content: [FunctionInterface.Content]) -> DocumentValue { .object(members(content)) }

    private static func members(_ content: [FunctionInterface.Content]) -> [(String, DocumentValue)] {
        content.map { ($0.mediaType, ["schema": .json($0.schema)]) }
    }

    private func messages(_ interface: FunctionInterface) -> DocumentValue? {
        guard interface.sentMessage != nil || interface.takenMessage != nil else { return nil }
        return .members(
            ("server", interface.sentMessage.map { .json($0) }), ("client", interface.takenMessage.map { .json($0) }))
    }

    // MARK: - Answers

    private func answers(_ operation: Operation) -> [(String, DocumentValue)] {
        let manifest = operation.manifest
        var answers = manifest.interface.answers ?? [:]
        let isTold = manifest.interface.answers != nil
        var lasting: [Int: String] = [:]
        switch manifest.trigger {
        case .sse:
            lasting = [200: "The events.", 204: "There is nothing more to send; an EventSource does not come back."]
            var stream = answers[200] ?? FunctionInterface.Answer()
            if stream.content.isEmpty {
                // What one event is OpenAPI 3.1 cannot say; x-messages does.
                let events = PositionedJSON(.object([]))
                stream.content = [FunctionInterface.Content(mediaType: "text/event-stream", schema: events)]
            }
            answers[200] = stream
            answers[204] = answers[204] ?? FunctionInterface.Answer()
        case .webSocket:
            lasting = [101: "The socket is open."]
            answers[101] = FunctionInterface.Answer()
        default: break
        }
        let fromHost = Dictionary(
            HostAnswer.all(manifest, settings).map { ($0.status, $0) }, uniquingKeysWith: { first, _ in first })
        var members: [(Int, DocumentValue)] = []
        for (status, answer) in answers {
            members.append((status, value(answer, status, fromHost[status], manifest, lasting[status])))
        }
        for (status, answer) in fromHost where answers[status] == nil {
            members.append((status, isTold ? error(answer) : .reference("responses/\(answer.component)")))
        }
        var result = members.sorted { $0.0 < $1.0 }.map { ("\($0.0)", $0.1) }
        if !isTold, manifest.trigger.isRequest {
            result.append(("default", ["description": "What the function answers."]))
        }
        return result
    }

    /// An answer of the host's on a route whose codes are all known: the shared one where that has the same codes.
    private func error(_ answer: HostAnswer) -> DocumentValue {
        let shared = sharedAnswers[answer.status]
        guard shared?.codes != answer.codes || shared?.fields != answer.fields else {
            return .reference("responses/\(answer.component)")
        }
        return .members(
            ("description", .text(answer.description)), ("headers", headers([], answer.fields)),
            ("content", Self.errorContent(answer.codes)))
    }

    private func value(
        _ answer: FunctionInterface.Answer, _ status: Int, _ host: HostAnswer?, _ manifest: FunctionManifest,
        _ standard: String?
    ) -> DocumentValue {
        let codes = (host?.codes ?? []) + answer.codes.filter { host?.codes.contains($0) != true }
        let phrase = StatusLine.reason(HTTPResponse.Status(integerLiteral: status))
        var content = Self.members(answer.content)
        if !codes.isEmpty {
            let error = Self.errorSchema(codes)
            if let index = content.firstIndex(where: { $0.0 == "application/json" }),
                let own = answer.content.first(where: { $0.mediaType == "application/json" })
            {
                content[index].1 = ["schema": ["anyOf": [.json(own.schema), error]]]
            } else {
                content.append(("application/json", ["schema": error]))
            }
        }
        let links = answer.links.filter { link in operations.contains { $0.name == link.function } }
        let budgets = settings.hasLimits && !manifest.rateLimit.isEmpty && status != 429 ? Self.budgetFields : []
        return .members(
            (
                "description",
                .text(
                    answer.description ?? standard ?? (answer.codes.isEmpty ? host?.description : nil) ?? "\(phrase).")
            ),
            ("headers", headers(answer.headers, status == host?.status ? host?.fields ?? [] : [], optional: budgets)),
            ("content", content.isEmpty ? nil : .object(content)),
            ("links", links.isEmpty ? nil : .object(links.map { ($0.function, Self.value($0)) })))
    }

    private static let budgetFields = ["RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"]

    private static func value(_ link: FunctionInterface.Link) -> DocumentValue {
        let parameters = link.parameters.sorted { $0.key < $1.key }.map { ($0.key, DocumentValue.text($0.value)) }
        return ["operationId": .text(link.function), "parameters": .object(parameters)]
    }

    /// The header fields of an answer; `x-request-id` is in each.
    func headers(
        _ own: [FunctionInterface.Field], _ required: [String], optional: [String] = []
    ) -> DocumentValue {
        var fields: [(String, DocumentValue)] = [("x-request-id", .reference("headers/x-request-id"))]
        for field in own {
            fields.append(
                (
                    field.name,
                    .members(("required", field.isRequired ? true : nil), ("schema", .json(field.schema)))
                ))
        }
        func isNew(_ name: String) -> Bool { !fields.contains { $0.0.lowercased() == name.lowercased() } }
        for name in required where isNew(name) { fields.append((name, .reference("headers/\(name)"))) }
        for name in optional where isNew(name) { fields.append((name, .reference("headers/\(name)-optional"))) }
        return .object(fields)
    }

    static func errorContent(_ codes: [String]) -> DocumentValue {
        ["application/json": ["schema": errorSchema(codes)]]
    }

    private static func errorSchema(_ codes: [String]) -> DocumentValue {
        ["allOf": [.reference("schemas/Error"), ["properties": ["code": ["enum": .names(codes)]]]]]
    }

    // MARK: - Security

    private func security(_ manifest: FunctionManifest) -> DocumentValue? {
        guard settings.mode != .none else { return nil }
        let schemes = [settings.mode == .jwt ? "token" : "proxy"] + (manifest.trigger.isRequest ? [] : ["ticket"])
        let ways: [DocumentValue] = schemes.map { .object([($0, .array([]))]) }
        return .array(manifest.access == .anonymous ? [.object([])] + ways : ways)
    }
}
