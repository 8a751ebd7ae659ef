internal import FunctionKit

/// What a process serves after its folder of functions was read again: a value, made without touching anything.
///
/// A function that cannot be loaded goes on as it was when it was loaded last, its last good version. What others claim by
/// then counts after that: a new route or queue that a last good version has is refused, and its function, too, goes on as
/// it was. So there is always a set without conflicts: in the worst case the one that is served.
public struct ReloadPlan: Sendable {
    /// What became of one function.
    public enum Change: Sendable, Hashable {
        case added
        /// Its code or its manifest is another.
        case changed
        /// It is as it was before an edit that failed.
        case mended
        case removed
        /// It cannot be loaded; whether there is a last good version.
        case failed(hasGood: Bool)
    }

    /// What the process is to serve.
    public let items: [Deployment.Item]
    /// The last good version of each function.
    public let good: [String: LoadedFunction]
    /// The manifests that hold, those of functions that other processes serve too.
    public let manifests: [String: FunctionManifest]
    /// Why functions are not served as they lie there, sorted.
    public let problems: [FunctionProblem]
    /// What has changed, by function.
    public let changes: [String: Change]

    /// Plans.
    ///
    /// - Parameters:
    ///   - good: The last good versions, which are served.
    ///   - failed: The functions that could not be loaded the last time.
    ///   - registry: The functions as they were just loaded.
    ///   - isStrict: Whether a function that cannot be loaded answers with its error in place of its last good version.
    public init(good: [String: LoadedFunction], failed: Set<String>, registry: FunctionRegistry, isStrict: Bool) {
        var loaded = Dictionary(registry.functions.map { ($0.name, $0) }) { first, _ in first }
        var problems = registry.problems
        var kept = Set(problems.map(\.function)).filter { good[$0] != nil && loaded[$0] == nil }
        while let (function, reason) = ReloadPlan.conflict(of: loaded, with: kept.compactMap { good[$0] }) {
            loaded[function] = nil
            let file = registry.manifestFile(of: function)
            problems.append(FunctionProblem(function: function, problem: FileProblem(file: file, reason: reason)))
            if good[function] != nil { kept.insert(function) }
        }

        let broken = Set(problems.map(\.function)).subtracting(loaded.keys)
        var changes: [String: Change] = [:]
        for (name, function) in loaded {
            switch good[name] {
            case nil: changes[name] = .added
            case let old? where !old.isSame(as: function): changes[name] = .changed
            case _ where failed.contains(name): changes[name] = .mended
            default: break
            }
        }
        for name in broken { changes[name] = .failed(hasGood: kept.contains(name)) }
        for name in good.keys where loaded[name] == nil && !kept.contains(name) { changes[name] = .removed }

        let goodNow = loaded.merging(kept.compactMap { name in good[name].map { (name, $0) } }) { first, _ in first }
        var items = loaded.values.map { Deployment.Item($0) }
        if isStrict {
            for name in broken {
                guard let manifest = goodNow[name]?.manifest ?? registry.manifests[name] else { continue }
                let isClaimed = goodNow.values.contains { $0.name != name && $0.claims(what: manifest, of: name) }
                guard !isClaimed else { continue }
                let reasons = problems.filter { $0.function == name }
                items.append(Deployment.Item(.failing(name, manifest, reasons), isTriggered: false))
            }
        } else {
            items += kept.compactMap { good[$0] }.map { Deployment.Item($0) }
        }
        self.items = items.sorted { $0.function.name < $1.function.name }
        self.good = goodNow
        manifests = registry.manifests.merging(goodNow.mapValues(\.manifest)) { _, good in good }
        self.problems = problems.sorted()
        self.changes = changes
    }

    /// A loaded function that claims what the host or one of the kept has, and why it cannot.
    private static func conflict(
        of loaded: [String: LoadedFunction], with kept: [LoadedFunction]
    ) -> (function: String, reason: String)? {
        for function in loaded.values.sorted(by: { $0.name < $1.name }) {
            guard let claim = FunctionCatalog.Claim(function.manifest.trigger, of: function.name) else { continue }
            if claim.isHosts { return (function.name, "\(claim.description) is already that of the host") }
            if let owner = kept.first(where: { $0.claims(what: function.manifest, of: function.name) }) {
                let reason = "\(claim.description) is still that of \(owner.name), which goes on as it was"
                return (function.name, reason)
            }
        }
        return nil
    }
}

extension LoadedFunction {
    /// Whether it is of the same module and has the same manifest.
    func isSame(as other: LoadedFunction) -> Bool {
        guard let module, module == other.module else { return false }
        return name == other.name && manifest == other.manifest
    }

    /// Whether this function has the route or the queue that a manifest asks for.
    fileprivate func claims(what manifest: FunctionManifest, of other: String) -> Bool {
        guard let wanted = FunctionCatalog.Claim(manifest.trigger, of: other) else { return false }
        return FunctionCatalog.Claim(self.manifest.trigger, of: name)?.key == wanted.key
    }

    /// What stands in for a function that cannot be loaded: it fails with the reasons.
    fileprivate static func failing(
        _ name: String, _ manifest: FunctionManifest, _ problems: [FunctionProblem]
    ) -> LoadedFunction {
        let text = problems.map { problem in
            [problem.description, problem.problem.excerpt].compactMap(\.self).joined(separator: "\n")
        }.joined(separator: "\n")
        let error = HTTPError(.internalServerError, code: "reload_failed", message: text)
        let handler: ModuleEntry.Handler =
            switch manifest.trigger {
            case .http, .cloudEvents: .http { _, _ in throw error }
            case .sse: .stream { _, _, _ in throw error }
            case .webSocket: .webSocket { _, _, _ in throw error }
            case .queue(_, .process): .queue { _, _ in throw Permanent(text, class: .unknown) }
            case .queue: .event { _, _ in throw Permanent(text, class: .unknown) }
            case .schedule: .schedule { _, _ in throw Permanent(text, class: .unknown) }
            }
        return LoadedFunction(name: name, manifest: manifest, handler: handler, module: "failing: \(text)")
    }
}
