/// Reads what a manifest tells of requests and answers (`request`, `responses`, `messages`), with the schemas that it names.
struct InterfaceReader {
    /// The keys that this reads.
    static let keys = ["request", "responses", "messages"]

    private let files: SchemaFiles
    private(set) var interface = FunctionInterface()
    /// What is wrong with schemas in files of their own.
    private(set) var problems: [FileProblem] = []
    private var seen: Set<SchemaFiles.Target> = []

    init(_ files: SchemaFiles) { self.files = files }

    /// Reads the keys of a manifest.
    ///
    /// - Parameters:
    ///   - root: The manifest.
    ///   - trigger: What calls the function.
    ///   - reader: Gets the manifest's own problems.
    mutating func read(
        _ root: StrictReader.Object, _ trigger: FunctionManifest.Trigger, _ reader: inout StrictReader
    ) {
        guard let path = trigger.path else {
            for key in Self.keys {
                guard let json = root.json[key] else { continue }
                reader.report(
                    json, key, "has a meaning only with \"http\", \"cloudevents\", \"sse\" or \"websocket\"")
            }
            return
        }
        readRequest(root, trigger, RoutePattern.parameters(of: path), &reader)
        readResponses(root, &reader)
        readMessages(root, trigger, &reader)
    }

    // MARK: - Requests

    private mutating func readRequest(
        _ root: StrictReader.Object, _ trigger: FunctionManifest.Trigger, _ parameters: [String],
        _ reader: inout StrictReader
    ) {
        guard let json = root.json["request"] else { return }
        let bodyReason = "has a meaning only with \"http\" or \"cloudevents\": no body is read here"
        if json.string != nil {
            if trigger.isRequest {
                interface.body = content(json, "request", &reader)
            } else {
                reader.report(json, "request", bodyReason)
            }
            return
        }
        guard json.members != nil else {
            reader.report(
                json, "request",
                "must be the name of a schema, or an object with \"body\", \"path\", \"query\" and \"headers\", not \(json.kind)"
            )
            return
        }
        guard let request = reader.object(root, "request", keys: ["body", "path", "query", "headers"]) else { return }
        if let body = request.json["body"] {
            if trigger.isRequest {
                interface.body = content(body, "request.body", &reader)
            } else {
                reader.report(body, "request.body", bodyReason)
            }
        }
        interface.path = fields(request, "path", &reader)
        interface.query = fields(request, "query", &reader)
        interface.headers = fields(request, "headers", &reader)
        for member in request.json["path"]?.members ?? [] where !parameters.contains(member.key) {
            let near = Suggestion.nearest(to: member.key, in: parameters)
            let hint = near.map { "; did you mean \"\($0)\"?" } ?? ""
            reader.report(at: member.keyPosition, "request.path.\(member.key)", "is no parameter of the route\(hint)")
        }
        for member in request.json["headers"]?.members ?? [] {
            let path = "request.headers.\(member.key)"
            if ["accept", "content-type", "authorization"].contains(member.key.lowercased()) {
                reader.report(at: member.keyPosition, path, "is told by the bodies and by \"auth\"")
            } else if !member.key.utf8.allSatisfy(HTTPBytes.isToken) || member.key.isEmpty {
                reader.report(at: member.keyPosition, path, "is no name of a header field")
            }
        }
    }

    /// The parameters under a key: their schemas by name, `"required": true` among the keywords of those that must be there.
    private mutating func fields(
        _ parent: StrictReader.Object, _ key: String, _ reader: inout StrictReader
    ) -> [FunctionInterface.Field] {
        guard let json = parent.json[key] else { return [] }
        let path = parent.path(of: key)
        guard let members = json.members else {
            reader.report(json, path, "must be an object of schemas, not \(json.kind)")
            return []
        }
        return members.compactMap { member in
            let path = "\(path).\(member.key)"
            var value = member.value
            var isRequired = false
            if let flag = value["required"]?.bool {
                isRequired = flag
                let rest = (value.members ?? []).filter { $0.key != "required" }
                value = PositionedJSON(position: value.position, value: .object(rest))
            }
            return schema(value, path, &reader).map {
                FunctionInterface.Field(name: member.key, isRequired: isRequired || key == "path", schema: $0)
            }
        }
    }

    // MARK: - Answers

    private mutating func readResponses(_ root: StrictReader.Object, _ reader: inout StrictReader) {
        guard let json = root.json["responses"] else { return }
        guard let members = json.members, !members.isEmpty else {
            reader.report(
                json, "responses", "must be an object of answers by status, such as {\"200\": \"answer.schema.json\"}")
            return
        }
        var answers: [Int: FunctionInterface.Answer] = [:]
        for member in members {
            let path = "responses.\(member.key)"
            guard member.key.utf8.count == 3, let status = Int(member.key), (200...599).contains(status) else {
                reader.report(at: member.keyPosition, path, "must be a status from 200 to 599")
                continue
            }
            answers[status] = answer(member.value, status, path, &reader)
        }
        interface.answers = answers
    }

    private mutating func answer(
        _ json: PositionedJSON, _ status: Int, _ path: String, _ reader: inout StrictReader
    ) -> FunctionInterface.Answer? {
        var answer = FunctionInterface.Answer()
        switch json.value {
        case .string(let text) where status < 400 || text.hasSuffix(SchemaFiles.suffix):
            answer.content = content(json, path, &reader)
        case .string, .array: answer.codes = codes(json, path, &reader)
        case .object:
            let keys = ["description", "body", "headers", "codes", "links"]
            guard let object = reader.object(json, path: path, keys: keys) else { return nil }
            answer.description = reader.string(object, "description")
            if let body = object.json["body"] { answer.content = content(body, "\(path).body", &reader) }
            answer.headers = fields(object, "headers", &reader)
            if let codes = object.json["codes"] {
                if status < 400 {
                    reader.report(codes, "\(path).codes", "has a meaning only with 400 and above")
                } else {
                    answer.codes = self.codes(codes, "\(path).codes", &reader)
                }
            }
            answer.links = links(object, &reader)
        default:
            reader.report(
                json, path, "must be the name of a schema, an object, or the codes of an error, not \(json.kind)")
        }
        return answer
    }

    private func codes(_ json: PositionedJSON, _ path: String, _ reader: inout StrictReader) -> [String] {
        let codes = json.string.map { [$0] } ?? json.elements?.map { $0.string ?? "" } ?? []
        let areCodes = codes.allSatisfy { code in
            (1...64).contains(code.utf8.count) && code.first?.isLowercase == true
                && code.utf8.allSatisfy { byte in
                    (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || byte == UInt8(ascii: "_")
                        || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                }
        }
        if !areCodes || codes.isEmpty || Set(codes).count < codes.count {
            reader.report(
                json, path,
                "must be a code such as \"not_found\", an array of different ones, or the name of a schema that ends in "
                    + SchemaFiles.suffix)
        }
        return codes
    }

    private func links(_ object: StrictReader.Object, _ reader: inout StrictReader) -> [FunctionInterface.Link] {
        guard let json = object.json["links"] else { return [] }
        let path = object.path(of: "links")
        guard let members = json.members else {
            reader.report(json, path, "must be an object of functions with their parameters, not \(json.kind)")
            return []
        }
        return members.map { member in
            var parameters: [String: String] = [:]
            if member.value.members == nil {
                reader.report(member.value, "\(path).\(member.key)", "must be an object of parameters")
            }
            for parameter in member.value.members ?? [] {
                let text = parameter.value.string ?? ""
                if text.hasPrefix("$response.") || text.hasPrefix("$request.") {
                    parameters[parameter.key] = text
                } else {
                    reader.report(
                        parameter.value, "\(path).\(member.key).\(parameter.key)",
                        "must be an expression such as \"$response.body#/id\" or \"$request.path.id\"")
                }
            }
            return FunctionInterface.Link(function: member.key, parameters: parameters)
        }
    }

    private mutating func readMessages(
        _ root: StrictReader.Object, _ trigger: FunctionManifest.Trigger, _ reader: inout StrictReader
    ) {
        guard let json = root.json["messages"] else { return }
        let keys: [String]
        switch trigger {
        case .sse: keys = ["server"]
        case .webSocket: keys = ["server", "client"]
        default:
            reader.report(json, "messages", "has a meaning only with \"sse\" or \"websocket\"")
            return
        }
        guard let object = reader.object(root, "messages", keys: keys) else { return }
        interface.sentMessage = object.json["server"].flatMap { schema($0, "messages.server", &reader) }
        interface.takenMessage = object.json["client"].flatMap { schema($0, "messages.client", &reader) }
    }

    // MARK: - Schemas

    /// The forms of a body: a schema for JSON, or schemas by media type.
    private mutating func content(
        _ json: PositionedJSON, _ path: String, _ reader: inout StrictReader
    ) -> [FunctionInterface.Content] {
        if let members = json.members, !members.isEmpty, members.allSatisfy({ $0.key.contains("/") }) {
            return members.compactMap { member in
                schema(member.value, "\(path).\(member.key)", &reader).map {
                    FunctionInterface.Content(mediaType: member.key, schema: $0)
                }
            }
        }
        return schema(json, path, &reader).map {
            [FunctionInterface.Content(mediaType: "application/json", schema: $0)]
        }
            ?? []
    }

    /// A schema that stands in the manifest, or the name of one in a file.
    private mutating func schema(
        _ json: PositionedJSON, _ path: String, _ reader: inout StrictReader
    ) -> PositionedJSON? {
        if let name = json.string {
            do throws(SchemaFiles.Fault) {
                let target = try files.target(name, isShared: false)
                add(target)
                return PositionedJSON(object: [("$ref", .string("#/components/schemas/\(files.component(target))"))])
            } catch {
                reader.report(json, path, error.reason)
                return nil
            }
        }
        var check = SchemaCheck(.manifest, files)
        let schema = check.schema(json, "")
        for problem in check.problems {
            let place = problem.path.isEmpty ? path : "\(path).\(problem.path)"
            reader.report(at: problem.position, place, problem.reason)
        }
        for target in check.wanted { add(target) }
        return schema
    }

    /// Takes a file in as a component, with all that it refers to.
    private mutating func add(_ target: SchemaFiles.Target) {
        guard seen.insert(target).inserted else { return }
        let file = files.path(of: target)
        do throws(PositionedJSON.SyntaxError) {
            let json = try PositionedJSON.parse(files.bytes(target))
            var check = SchemaCheck(.file(target, root: json), files)
            interface.components[files.component(target)] = check.schema(json, "")
            problems += check.problems.map { problem in
                FileProblem(
                    file: file, line: problem.position.line, column: problem.position.column,
                    reason: problem.path.isEmpty ? problem.reason : "\(problem.path) \(problem.reason)")
            }
            for other in check.wanted { add(other) }
        } catch {
            problems.append(FileProblem(error, in: file))
        }
    }
}
