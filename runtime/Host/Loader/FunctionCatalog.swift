/// The functions of a folder with their manifests, before anything of them is built.
public struct FunctionCatalog: Sendable {
    /// One function whose manifest is right.
    public struct Entry: Sendable {
        /// Its sources.
        public let source: FunctionSource
        /// Its manifest.
        public let manifest: FunctionManifest

        /// The name: the folder's.
        public var name: String { source.name }
    }

    /// The functions whose manifests are right, sorted by name.
    public let entries: [Entry]
    /// What is wrong with the others, sorted.
    public let problems: [FunctionProblem]

    /// The manifests by function.
    public var manifests: [String: FunctionManifest] {
        Dictionary(uniqueKeysWithValues: entries.map { ($0.name, $0.manifest) })
    }

    /// The names of all folders that are functions or should be, sorted.
    public var names: [String] {
        Set(entries.map(\.name) + problems.map(\.function)).sorted()
    }

    /// Reads all functions of a folder. Blocks on the file system.
    ///
    /// Of two functions with the same route, or two that work the same queue, the one whose name sorts first stays.
    ///
    /// - Parameter folder: The folder of functions.
    /// - Returns: The functions and the problems.
    /// - Throws: ``LoaderError`` with code `.functionsFolder` when the folder cannot be read.
    public static func read(_ folder: String) throws -> FunctionCatalog {
        let scan = try FunctionScanner().scan(folder)
        var entries: [Entry] = []
        var problems = scan.problems
        var owners: [String: FunctionSource] = [:]
        for source in scan.sources {
            let result = ManifestDecoder().decode(
                source.manifestBytes, file: source.manifestFile, schemas: source.schemas)
            problems += result.problems.map { FunctionProblem(function: source.name, problem: $0) }
            guard let manifest = result.manifest else { continue }
            if let claim = Claim(manifest.trigger, of: source.name) {
                if let owner = owners[claim.key] {
                    let reason = "\(claim.description) is already that of \(owner.name) (\(owner.manifestFile))"
                    let problem = source.problem(reason, at: .trigger)
                    problems.append(FunctionProblem(function: source.name, problem: problem))
                    continue
                }
                owners[claim.key] = source
            }
            entries.append(Entry(source: source, manifest: manifest))
        }
        return FunctionCatalog(entries: entries, problems: problems.sorted())
    }

    /// The entries with these names, or all.
    ///
    /// - Throws: ``LoaderError`` with code `.unknownFunction` for a name that is no folder's.
    func entries(only names: [String]?) throws(LoaderError) -> [Entry] {
        guard let names else { return entries }
        for name in names where !self.names.contains(name) {
            let near = Suggestion.nearest(to: name, in: self.names)
            let hint = near.map { "did you mean \"\($0)\"?" } ?? "known are \(self.names.joined(separator: ", "))"
            throw LoaderError(.unknownFunction, "there is no function \"\(name)\"; \(hint)")
        }
        return entries.filter { names.contains($0.name) }
    }

    /// Why a function with this trigger cannot stand beside these, or `nil` when it can.
    func conflict(_ trigger: FunctionManifest.Trigger, of function: String) -> String? {
        guard let claim = Claim(trigger, of: function) else { return nil }
        if claim.isHosts { return "\(claim.description) is already that of the host" }
        let owner = entries.first { Claim($0.manifest.trigger, of: $0.name)?.key == claim.key }
        return owner.map { "\(claim.description) is already that of \($0.name) (\($0.source.manifestFile))" }
    }

    /// What only one function may have.
    struct Claim {
        let key: String
        let description: String

        /// Whether the host has that route itself.
        var isHosts: Bool {
            (HealthRoutes.paths + DocumentRoutes.paths).contains { RoutePattern.key(method: "GET", path: $0) == key }
        }

        init?(_ trigger: FunctionManifest.Trigger, of function: String) {
            switch trigger {
            case .http(let method, let path), .cloudEvents(let method, let path):
                (key, description) = Claim.route(method, path)
            case .sse(let path), .webSocket(let path):
                (key, description) = Claim.route("GET", path)
            case .queue(let name, .process):
                key = "queue \(name)"
                description = "working the queue \"\(name)\""
            case .schedule:
                let queue = ScheduleTrigger.queue(of: function)
                key = "queue \(queue)"
                description = "the queue \"\(queue)\", which holds the ticks of a schedule,"
            case .queue: return nil
            }
        }

        private static func route(_ method: String, _ path: String) -> (key: String, description: String) {
            (RoutePattern.key(method: method, path: path), "the route \"\(method) \(path)\"")
        }
    }
}
