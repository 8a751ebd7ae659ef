/// Checks one JSON Schema (draft 2020-12) and makes it a part of an OpenAPI document: its references lead to components.
///
/// Only the form is checked: what each keyword takes, and that references lead somewhere. Keywords that are not known are
/// left as they are.
struct SchemaCheck {
    /// Where a schema stands.
    enum Place {
        /// It is a file, which becomes a component.
        case file(SchemaFiles.Target, root: PositionedJSON)
        /// It stands in the manifest.
        case manifest
    }

    /// One thing that is wrong.
    struct Problem {
        let position: PositionedJSON.Position
        let path: String
        let reason: String
    }

    private(set) var problems: [Problem] = []
    /// The files that the schema refers to.
    private(set) var wanted: Set<SchemaFiles.Target> = []
    private let files: SchemaFiles
    private let place: Place

    private static let dialects = [
        "https://json-schema.org/draft/2020-12/schema", "https://json-schema.org/draft/2020-12/schema#",
    ]

    init(_ place: Place, _ files: SchemaFiles) {
        self.place = place
        self.files = files
    }

    /// Checks a schema.
    ///
    /// - Parameters:
    ///   - json: The schema.
    ///   - path: Where it stands, for problems.
    /// - Returns: The schema with its references rewritten.
    mutating func schema(_ json: PositionedJSON, _ path: String) -> PositionedJSON {
        switch json.value {
        case .bool: return json
        case .object(let members):
            let isRoot = if case .file(_, let root) = place { root.position == json.position } else { false }
            return PositionedJSON(
                position: json.position, value: .object(members.compactMap { member($0, path, isRoot: isRoot) }))
        default:
            report(json, path, "must be a schema (an object, true or false), not \(json.kind)")
            return json
        }
    }

    private mutating func member(
        _ member: PositionedJSON.Member, _ path: String, isRoot: Bool
    ) -> PositionedJSON.Member? {
        let name = member.key
        let path = path.isEmpty ? name : "\(path).\(name)"
        guard let keyword = SchemaKeyword(name) else { return member }
        var value = member.value
        switch keyword {
        case .schema: value = schema(value, path)
        case .schemas: value = schemas(value, path)
        case .schemasByName: value = schemasByName(value, path)
        case .reference: value = reference(value, path)
        case .type: checkType(value, path)
        case .names: checkNames(value, path)
        case .namesByName:
            if let members = value.members {
                for member in members { checkNames(member.value, "\(path).\(member.key)") }
            } else {
                report(value, path, "must be an object of arrays of names, not \(value.kind)")
            }
        case .count: check(value, path, "a whole number, 0 or more") { ($0.integer ?? -1) >= 0 }
        case .number: check(value, path, "a number") { $0.number != nil }
        case .positive: check(value, path, "a number over 0") { ($0.number ?? 0) > 0 }
        case .flag: check(value, path, "true or false") { $0.bool != nil }
        case .text: check(value, path, "a string") { $0.string != nil }
        case .values: check(value, path, "an array with at least one value") { $0.elements?.isEmpty == false }
        case .unsupported(let reason): report(at: member.keyPosition, path, reason)
        case .dropped:
            if !isRoot { report(at: member.keyPosition, path, "has a meaning only at the top of a file") }
            if name == "$schema", !Self.dialects.contains(value.string ?? "") {
                report(value, path, "must be \"\(Self.dialects[0])\"")
            }
            return nil
        }
        return PositionedJSON.Member(key: name, keyPosition: member.keyPosition, value: value)
    }

    private mutating func schemas(_ json: PositionedJSON, _ path: String) -> PositionedJSON {
        guard let elements = json.elements, !elements.isEmpty else {
            report(json, path, "must be an array with at least one schema")
            return json
        }
        let checked = elements.enumerated().map { schema($1, "\(path)[\($0)]") }
        return PositionedJSON(position: json.position, value: .array(checked))
    }

    private mutating func schemasByName(_ json: PositionedJSON, _ path: String) -> PositionedJSON {
        guard let members = json.members else {
            report(json, path, "must be an object of schemas, not \(json.kind)")
            return json
        }
        let checked = members.map {
            PositionedJSON.Member(
                key: $0.key, keyPosition: $0.keyPosition, value: schema($0.value, "\(path).\($0.key)"))
        }
        return PositionedJSON(position: json.position, value: .object(checked))
    }

    private mutating func reference(_ json: PositionedJSON, _ path: String) -> PositionedJSON {
        guard let text = json.string else {
            report(json, path, "must be a string, not \(json.kind)")
            return json
        }
        do throws(SchemaFiles.Fault) {
            return PositionedJSON(position: json.position, value: .string(try resolved(text)))
        } catch {
            report(json, path, error.reason)
            return json
        }
    }

    private mutating func resolved(_ text: String) throws(SchemaFiles.Fault) -> String {
        guard text.hasPrefix("#") else {
            let isShared = if case .file(let target, _) = place { target.isShared } else { false }
            let target = try files.target(text, isShared: isShared)
            wanted.insert(target)
            return "#/components/schemas/\(files.component(target))"
        }
        guard case .file(let target, let root) = place else {
            throw SchemaFiles.Fault(reason: "leads into the manifest; a schema with references needs a file of its own")
        }
        let pointer = text.dropFirst()
        guard Self.find(pointer, in: root) else {
            throw SchemaFiles.Fault(reason: "leads to \"\(text.prefix(64))\", which is not there")
        }
        return "#/components/schemas/\(files.component(target))\(pointer)"
    }

    /// Whether a JSON pointer (RFC 6901) leads to a schema of the file. Escapes of URIs are not needed.
    private static func find(_ pointer: Substring, in root: PositionedJSON) -> Bool {
        guard pointer.isEmpty || pointer.hasPrefix("/") else { return false }
        var value = root
        for token in pointer.split(separator: "/", omittingEmptySubsequences: false).dropFirst() {
            let key = String(token).replacing("~1", with: "/").replacing("~0", with: "~")
            if let member = value[key] {
                value = member
            } else if let elements = value.elements, let index = Int(key), elements.indices.contains(index) {
                value = elements[index]
            } else {
                return false
            }
        }
        return value.members != nil || value.bool != nil
    }

    private mutating func checkType(_ json: PositionedJSON, _ path: String) {
        let names = json.string.map { [$0] } ?? json.elements?.map { $0.string ?? "" } ?? [""]
        if Set(names).count < names.count || names.isEmpty {
            report(json, path, "must be the name of a type, or an array of different ones")
            return
        }
        for name in names where !SchemaKeyword.types.contains(name) {
            let near = Suggestion.nearest(to: name, in: SchemaKeyword.types)
            let hint =
                near.map { "did you mean \"\($0)\"?" } ?? "known are \(SchemaKeyword.types.joined(separator: ", "))"
            report(json, path, "must be the name of a type, not \"\(name.prefix(64))\"; \(hint)")
        }
    }

    private mutating func checkNames(_ json: PositionedJSON, _ path: String) {
        let names = json.elements?.compactMap(\.string)
        check(json, path, "an array of different names") { json in
            guard let names, names.count == json.elements?.count else { return false }
            return Set(names).count == names.count
        }
    }

    private mutating func check(
        _ json: PositionedJSON, _ path: String, _ expected: String, _ fits: (PositionedJSON) -> Bool
    ) {
        if !fits(json) { report(json, path, "must be \(expected)") }
    }

    private mutating func report(_ json: PositionedJSON, _ path: String, _ reason: String) {
        report(at: json.position, path, reason)
    }

    private mutating func report(at position: PositionedJSON.Position, _ path: String, _ reason: String) {
        problems.append(Problem(position: position, path: path, reason: reason))
    }
}
