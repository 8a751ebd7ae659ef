import Host

/// What `ferry explain` prints.
struct ExplainedCall: Encodable {
    struct Candidate: Encodable {
        let owner: String
        let route: String
        let verdict: String
    }

    struct Failure: Encodable {
        let when: String
        let then: String
    }

    /// What was asked.
    let target: String
    /// What happens, in a sentence.
    let outcome: String
    /// The functions that are called.
    let functions: [String]
    /// Whether the host answers by itself.
    var isHost = false
    var parameters: [String: String] = [:]
    var candidates: [Candidate] = []
    /// The routes that were perhaps meant.
    var nearest: [String] = []
    /// The values of the manifest that bound the call, by function.
    var limits: [String: [String: String]] = [:]
    var failures: [Failure] = []

    init(request: String, _ explanation: RouteExplanation, _ manifests: [String: FunctionManifest]) {
        target = request
        candidates = explanation.candidates.map { Candidate(owner: $0.owner, route: $0.route, verdict: $0.verdict) }
        switch explanation.outcome {
        case .function(let name, let values):
            (functions, parameters, outcome) = ([name], values, "\(name) answers")
        case .host: (functions, isHost, outcome) = ([], true, "the host answers by itself")
        case .options(let allow):
            (functions, isHost, outcome) = ([], true, "the host answers 204 with Allow: \(allow)")
        case .notFound(let routes): (functions, nearest, outcome) = ([], routes, "404: no route has this path")
        case .methodNotAllowed(let allow):
            (functions, outcome) = ([], "405 with Allow: \(allow): the path has no such method")
        case .malformed: (functions, outcome) = ([], "400: the path holds a wrong percent escape")
        }
        addLimits(manifests)
        if let manifest = functions.first.flatMap({ manifests[$0] }) { failures = Self.failures(manifest) }
    }

    init(
        queue: String, on moment: FunctionManifest.QueueMoment, _ names: [String],
        _ manifests: [String: FunctionManifest]
    ) {
        target = "\(queue) \(moment.rawValue)"
        functions = names
        let verb = moment == .process ? "works the jobs" : "handles the events"
        outcome =
            names.isEmpty
            ? "no function of this folder is called"
            : "\(names.joined(separator: ", ")) \(verb)"
        if names.isEmpty {
            let others = manifests.values.compactMap { manifest -> String? in
                guard case .queue(let name, let on) = manifest.trigger else { return nil }
                return "\(name) --on \(on.rawValue)"
            }
            nearest = Set(others).sorted()
        }
        addLimits(manifests)
        if let manifest = names.first.flatMap({ manifests[$0] }) { failures = Self.failures(manifest) }
    }

    init(schedule name: String, _ manifest: FunctionManifest, _ pattern: String, _ zone: String) {
        target = name
        functions = [name]
        outcome = "\(name) runs at \(pattern) (\(zone)), each tick in one of all processes that serve it"
        addLimits([name: manifest])
        failures = Self.failures(manifest)
    }

    private mutating func addLimits(_ manifests: [String: FunctionManifest]) {
        for name in functions {
            guard let manifest = manifests[name] else { continue }
            limits[name] = ManifestValues.values(manifest, given: []).mapValues(\.value)
        }
    }

    func print() {
        let output = Terminal.output
        output.line("\(Terminal.plain(target)): \(Terminal.plain(outcome))")
        for (name, value) in parameters.sorted(by: { $0.key < $1.key }) {
            output.line("  :\(name) = \(Terminal.plain(value))")
        }
        section("Routes that match", candidates.map { "\($0.route) (\($0.owner)): \($0.verdict)" })
        section("Perhaps", nearest)
        for (name, values) in limits.sorted(by: { $0.key < $1.key }) {
            section("Limits of \(name)", values.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" })
        }
        section("Failures", failures.map { "\($0.when): \($0.then)" })
    }

    private func section(_ title: String, _ lines: [String]) {
        guard !lines.isEmpty else { return }
        Terminal.output.line("\(title):")
        for line in lines { Terminal.output.line("  \(Terminal.plain(line))") }
    }

    /// What happens on each failure, as `docs/functions.md` says.
    private static func failures(_ manifest: FunctionManifest) -> [Failure] {
        let timeout = ManifestValues.text(manifest.timeout)
        let retry = ManifestValues.text(manifest.retry)
        switch manifest.trigger {
        case .http, .cloudEvents, .sse, .webSocket:
            return requestFailures(manifest, timeout)
        case .queue(_, .process):
            return [
                Failure(
                    when: "an error, or more than \(timeout)", then: "a failed attempt; \(retry) (the job's own win)"),
                Failure(when: "Permanent", then: "the job fails at once"),
                Failure(when: "RetryAfter", then: "the next attempt after that time"),
            ]
        case .queue:
            return [
                Failure(
                    when: "an error, or more than \(timeout)",
                    then: "the event comes again later, a bounded number of times")
            ]
        case .schedule:
            return [
                Failure(when: "an error, or more than \(timeout)", then: "a failed attempt of the tick; \(retry)"),
                Failure(when: "Permanent", then: "the tick fails at once"),
                Failure(when: "RetryAfter", then: "the next attempt after that time"),
            ]
        }
    }

    private static func requestFailures(_ manifest: FunctionManifest, _ timeout: String) -> [Failure] {
        var failures: [Failure] = []
        if manifest.trigger.isRequest {
            failures.append(Failure(when: "a body over \(manifest.maxBodyBytes) bytes", then: "413"))
        }
        if case .cloudEvents = manifest.trigger {
            failures += [
                Failure(when: "no valid event", then: "400 with every problem"),
                Failure(when: "a batch, or a format other than JSON", then: "415"),
                Failure(when: "the function's answer is no valid event", then: "500, its problems only in the log"),
            ]
        }
        if case .http = manifest.trigger {
            failures += [
                Failure(when: "a typed handler gets a body that is not JSON", then: "400"),
                Failure(when: "a typed handler gets another content type", then: "415"),
            ]
        }
        failures += [
            Failure(
                when: "\(manifest.concurrency) invocations run and \(manifest.queueLimit) wait", then: "503"),
            Failure(when: "HTTPError", then: "its own status"),
            Failure(when: "a store is away", then: "503 with Retry-After"),
            Failure(when: "any other error", then: "500, its text only in the log"),
        ]
        switch manifest.trigger {
        case .webSocket:
            failures += [
                Failure(when: "more than \(timeout)", then: "the socket closes with 1001"),
                Failure(when: "an error once it is open", then: "the socket closes with 1011"),
                Failure(when: "a message over \(manifest.maxMessageBytes) bytes", then: "the socket closes with 1009"),
            ]
        case .sse:
            failures += [
                Failure(when: "more than \(timeout)", then: "the stream ends in order"),
                Failure(when: "an error once it is open", then: "the stream is cut, and the client comes back"),
            ]
        default: failures.append(Failure(when: "more than \(timeout)", then: "504, and the task is cancelled"))
        }
        return failures
    }
}
