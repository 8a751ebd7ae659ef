/// Finds the type that handles a function's trigger, by reading the declarations of its sources.
///
/// A type is a candidate when its declaration or an extension names one of the handler protocols. What only the compiler
/// can see (a protocol that refines one, a type alias, a macro) is reached by naming the type in the manifest's `handler`.
struct HandlerFinder {
    /// The kinds of handler, and the protocols that make a type one.
    enum Kind: String, CaseIterable {
        case http
        case cloudEvents
        case stream
        case webSocket
        case queue
        case event
        case schedule

        init(_ trigger: FunctionManifest.Trigger) {
            switch trigger {
            case .http: self = .http
            case .cloudEvents: self = .cloudEvents
            case .sse: self = .stream
            case .webSocket: self = .webSocket
            case .queue(_, .process): self = .queue
            case .queue: self = .event
            case .schedule: self = .schedule
            }
        }

        var protocols: [String] {
            switch self {
            case .http: ["HTTPFunction", "TypedHTTPFunction"]
            case .cloudEvents: ["CloudEventFunction"]
            case .stream: ["StreamFunction"]
            case .webSocket: ["WebSocketFunction"]
            case .queue: ["QueueFunction"]
            case .event: ["EventFunction"]
            case .schedule: ["ScheduledFunction"]
            }
        }

        /// The protocols as a sentence names them.
        var requirement: String { protocols.joined(separator: " or ") }
    }

    struct Declaration: Hashable {
        let name: String
        let file: String
        let line: Int
        let isPrivate: Bool
        var protocols: Set<String>
    }

    /// An `import` of a module.
    struct Import: Hashable {
        let module: String
        let file: String
        let line: Int
    }

    private(set) var declarations: [String: Declaration] = [:]
    private(set) var imports: [Import] = []
    private var extensions: [String: Set<String>] = [:]

    init(sources: [(file: String, bytes: [UInt8])]) {
        for source in sources { read(SwiftTokens.tokens(of: source.bytes), file: source.file) }
        for (name, protocols) in extensions { declarations[name]?.protocols.formUnion(protocols) }
    }

    /// The types that conform to a handler protocol of this kind, in the order of their names.
    func candidates(_ kind: Kind) -> [Declaration] {
        declarations.values.filter { !$0.protocols.isDisjoint(with: kind.protocols) }.sorted { $0.name < $1.name }
    }

    /// The name of the handler's type.
    ///
    /// - Throws: ``FileProblem`` that names the candidates.
    func handler(for source: FunctionSource, manifest: FunctionManifest) throws(FileProblem) -> String {
        let kind = Kind(manifest.trigger)
        if let name = manifest.handler {
            guard declarations[name] != nil else {
                let near = Suggestion.nearest(to: name, in: declarations.keys.sorted())
                let hint = near.map { "; did you mean \"\($0)\"?" } ?? listing(kind)
                throw source.problem("handler \"\(name)\" is not declared in this folder\(hint)", at: .handler)
            }
            return name
        }
        let found = candidates(kind)
        switch found.count {
        case 1 where found[0].isPrivate:
            throw FileProblem(
                file: found[0].file, line: found[0].line,
                reason: "\(found[0].name) is private; the host can call only a type that is not")
        case 1: return found[0].name
        case 0:
            throw source.problem(
                "no type of this folder conforms to \(kind.requirement), which the trigger needs\(listing(kind))",
                at: .trigger)
        default:
            let names = found.map { "\($0.name) (\($0.file.lastPathComponent):\($0.line))" }.joined(separator: ", ")
            throw source.problem(
                "several types could handle the trigger: \(names); name one in \"handler\"", at: .trigger)
        }
    }

    /// Why a function's handler cannot be found, or `nil` when it can.
    static func problem(of entry: FunctionCatalog.Entry) -> FileProblem? {
        do {
            _ = try HandlerFinder(sources: entry.source.files.map { ($0.path, $0.bytes) })
                .handler(for: entry.source, manifest: entry.manifest)
            return nil
        } catch {
            return error
        }
    }

    /// What the sources have instead of what was looked for.
    private func listing(_ kind: Kind) -> String {
        if let name = candidates(kind).first?.name { return "; \(name) is" }
        let others = Kind.allCases.filter { $0 != kind }.flatMap { other in
            candidates(other).map { declaration in
                let conformance = declaration.protocols.sorted().joined(separator: ", ")
                return "\(declaration.name) (\(declaration.file.lastPathComponent):\(declaration.line)): \(conformance)"
            }
        }
        return others.isEmpty ? "" : "; found \(others.joined(separator: ", "))"
    }

    // MARK: - Reading declarations

    private static let typeKeywords: Set<String> = ["struct", "class", "enum", "actor"]
    private static let handlerProtocols = Set(Kind.allCases.flatMap(\.protocols))
    private static let modifiersEnd: Set<String> = ["{", "}", ";"]

    private mutating func read(_ tokens: [SwiftTokens.Token], file: String) {
        /// The names of the types around the current place; `nil` for braces that are no type's.
        var scopes: [(name: String?, isPrivate: Bool)] = []
        var index = 0
        while index < tokens.count {
            let token = tokens[index]
            let next = index + 1 < tokens.count ? tokens[index + 1].text : ""
            let previous = index > 0 ? tokens[index - 1].text : ""
            if token.text == "{" {
                scopes.append((nil, false))
            } else if token.text == "}" {
                _ = scopes.popLast()
            } else if token.text == "import", previous != ".", SwiftTokens.isIdentifier(next) {
                readImport(tokens, at: index, file: file)
            } else if Self.typeKeywords.contains(token.text) || token.text == "extension",
                previous != ".", previous != "import", SwiftTokens.isIdentifier(next),
                !["func", "var", "let"].contains(next)
            {
                let header = Header(tokens, at: index)
                if let header {
                    let outer = scopes.compactMap(\.name).joined(separator: ".")
                    let name = outer.isEmpty ? header.name : "\(outer).\(header.name)"
                    let isPrivate =
                        scopes.contains { $0.isPrivate } || Self.isPrivate(tokens, before: index, scopes.count)
                    note(header, keyword: token, name: name, file: file, isPrivate: isPrivate)
                    scopes.append((header.name, isPrivate))
                    index = header.end
                }
            }
            index += 1
        }
    }

    private mutating func note(
        _ header: Header, keyword: SwiftTokens.Token, name: String, file: String, isPrivate: Bool
    ) {
        let protocols = header.inherited.intersection(Self.handlerProtocols)
        if keyword.text == "extension" {
            extensions[name, default: []].formUnion(protocols)
        } else {
            declarations[name] = Declaration(
                name: name, file: file, line: keyword.line, isPrivate: isPrivate,
                protocols: header.isGeneric ? [] : protocols)
        }
    }

    private mutating func readImport(_ tokens: [SwiftTokens.Token], at index: Int, file: String) {
        let kinds: Set<String> = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias", "actor"]
        var name = tokens[index + 1]
        if kinds.contains(name.text), index + 2 < tokens.count { name = tokens[index + 2] }
        imports.append(Import(module: name.text, file: file, line: tokens[index].line))
    }

    /// Whether the words before a declaration's keyword say that other files cannot see it.
    private static func isPrivate(_ tokens: [SwiftTokens.Token], before index: Int, _ depth: Int) -> Bool {
        for token in tokens[..<index].reversed().prefix(12) {
            if modifiersEnd.contains(token.text) { return false }
            if token.text == "fileprivate" || token.text == "private" { return true }
            guard
                ["final", "public", "internal", "package", "indirect", "nonisolated", "@", ")", "("].contains(
                    token.text)
                    || SwiftTokens.isIdentifier(token.text)
            else { return false }
            if typeKeywords.contains(token.text) || ["import", "let", "var", "case"].contains(token.text) {
                return false
            }
        }
        return false
    }

    /// The head of a type's declaration or extension, up to its opening brace.
    private struct Header {
        let name: String
        let isGeneric: Bool
        let inherited: Set<String>
        /// The index of the opening brace.
        let end: Int

        init?(_ tokens: [SwiftTokens.Token], at keyword: Int) {
            var index = keyword + 1
            var parts = [tokens[index].text]
            index += 1
            while index + 1 < tokens.count, tokens[index].text == ".", SwiftTokens.isIdentifier(tokens[index + 1].text)
            {
                parts.append(tokens[index + 1].text)
                index += 2
            }
            name = parts.joined(separator: ".")
            isGeneric = index < tokens.count && tokens[index].text == "<"

            var inherited: Set<String> = []
            var last: String?
            var depth = 0
            var isInherited = false
            while index < tokens.count, tokens[index].text != "{" {
                let text = tokens[index].text
                switch text {
                case ";", "}", "=": return nil
                case "<", "(": depth += 1
                case ">", ")": depth -= 1
                case ":" where depth == 0: isInherited = true
                case "where" where depth == 0:
                    if let last { inherited.insert(last) }
                    last = nil
                    isInherited = false
                case ",", "&":
                    if depth == 0, let last { inherited.insert(last) }
                    if depth == 0 { last = nil }
                default:
                    if depth == 0, isInherited, SwiftTokens.isIdentifier(text) { last = text }
                }
                index += 1
            }
            guard index < tokens.count else { return nil }
            if let last { inherited.insert(last) }
            self.inherited = inherited
            end = index
        }
    }
}
