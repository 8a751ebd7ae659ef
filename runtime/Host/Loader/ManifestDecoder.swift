internal import BullQueue

/// Reads `function.json`, strictly: every problem is reported in one go, each with its line.
public struct ManifestDecoder: Sendable {
    /// What a manifest that was read says, and what is wrong with it.
    public struct Result: Sendable {
        /// The manifest, or `nil` when there is any problem.
        public let manifest: FunctionManifest?
        /// Every problem, in the order of the file.
        public let problems: [FileProblem]
        /// Where the handler's name stands, for problems that only the sources show.
        public let handlerPosition: PositionedJSON.Position?
    }

    private static let keys = [
        "http", "cloudevents", "sse", "websocket", "queue", "on", "schedule", "timezone", "handler", "timeout",
        "concurrency", "queueLimit", "executor", "maxBody", "maxMessage", "compression", "auth", "rateLimit", "retry",
        "description", "request", "responses", "messages",
    ]
    static let triggers = ["http", "cloudevents", "sse", "websocket", "queue", "schedule"]

    private static let requestPlace = "has a meaning only with \"http\", \"cloudevents\", \"sse\" or \"websocket\""
    private static let retryPlace = "has a meaning only with \"on\": \"process\" or \"schedule\""

    /// Makes a decoder.
    public init() {}

    /// Reads a manifest.
    ///
    /// - Parameters:
    ///   - bytes: The file's contents.
    ///   - file: The file's path, for messages.
    ///   - schemas: The schemas that it may name.
    /// - Returns: The manifest, or its problems and those of the schemas that it names.
    public func decode(_ bytes: [UInt8], file: String, schemas: SchemaFiles = SchemaFiles()) -> Result {
        let json: PositionedJSON
        do {
            json = try PositionedJSON.parse(bytes)
        } catch {
            return Result(manifest: nil, problems: [FileProblem(error, in: file)], handlerPosition: nil)
        }
        var reader = StrictReader()
        var interface = InterfaceReader(schemas)
        let manifest = read(json, &reader, &interface)
        let problems = FileProblem.problems(of: reader, in: file) + interface.problems.sorted()
        return Result(
            manifest: problems.isEmpty ? manifest : nil, problems: problems,
            handlerPosition: json["handler"]?.position)
    }

    private func read(
        _ json: PositionedJSON, _ reader: inout StrictReader, _ interface: inout InterfaceReader
    ) -> FunctionManifest? {
        guard let root = reader.object(json, keys: Self.keys) else { return nil }
        let trigger = trigger(root, &reader)
        let handler = handler(root, &reader)
        let timeout = reader.duration(root, "timeout", in: .milliseconds(1)...(.seconds(86_400)))
        let concurrency = reader.integer(root, "concurrency", in: 1...10_000)
        let queueLimit = reader.integer(root, "queueLimit", in: 0...1_000_000)
        let executor: FunctionManifest.Executor? = reader.choice(root, "executor")
        let maxBody = reader.byteCount(root, "maxBody", in: 0...(1 << 30))
        let maxMessage = reader.byteCount(root, "maxMessage", in: 1...(64 << 20))
        let compression: FunctionManifest.Compression? = reader.choice(root, "compression")
        let access: FunctionManifest.Access? = reader.choice(root, "auth")
        let rateLimit = rateLimit(root, &reader)
        let retry = retry(root, &reader)
        let description = reader.string(root, "description")
        guard let trigger else { return nil }
        checkPlaces(root, trigger, &reader)
        interface.read(root, trigger, &reader)
        return FunctionManifest(
            trigger: trigger, handler: handler, timeout: timeout, concurrency: concurrency, queueLimit: queueLimit,
            executor: executor ?? .pool, maxBodyBytes: maxBody, maxMessageBytes: maxMessage ?? 1 << 20,
            compression: compression ?? .message, access: access ?? .anonymous, rateLimit: rateLimit ?? [],
            retry: retry,
            description: description, interface: interface.interface)
    }

    /// Reports the keys that have no meaning with this trigger.
    private func checkPlaces(
        _ root: StrictReader.Object, _ trigger: FunctionManifest.Trigger, _ reader: inout StrictReader
    ) {
        if !trigger.isRequest {
            misplaced(root, ["maxBody"], "has a meaning only with \"http\" or \"cloudevents\"", &reader)
        }
        if case .webSocket = trigger {
        } else {
            misplaced(root, ["maxMessage", "compression"], "has a meaning only with \"websocket\"", &reader)
        }
        switch trigger {
        case .http, .cloudEvents, .sse, .webSocket:
            misplaced(root, ["retry"], Self.retryPlace, &reader)
        case .queue(_, let moment):
            misplaced(root, ["queueLimit", "auth", "rateLimit"], Self.requestPlace, &reader)
            if moment != .process { misplaced(root, ["retry"], Self.retryPlace, &reader) }
        case .schedule:
            misplaced(root, ["queueLimit", "auth", "rateLimit"], Self.requestPlace, &reader)
        }
    }

    private func trigger(_ root: StrictReader.Object, _ reader: inout StrictReader) -> FunctionManifest.Trigger? {
        let http = http(root, &reader)
        let cloudEvents = cloudEvents(root, &reader)
        let sse = path(root, "sse", &reader)
        let webSocket = path(root, "websocket", &reader)
        let queue = queue(root, &reader)
        let schedule = schedule(root, &reader)
        let given = Self.triggers.filter { root.json[$0] != nil }
        for (key, owner) in [("on", "queue"), ("timezone", "schedule")] where !given.contains(owner) {
            misplaced(root, [key], "has a meaning only beside \"\(owner)\"", &reader)
        }
        guard let first = given.first else {
            if !["on", "timezone"].contains(where: { root.json[$0] != nil }) {
                reader.report(
                    root.json, "",
                    """
                    a trigger is missing: "http": "METHOD /path", "cloudevents": "POST /path", "sse": "/path", "websocket": "/path", \
                    "queue": NAME with "on", or "schedule": TIMES
                    """
                )
            }
            return nil
        }
        guard given.count == 1 else {
            misplaced(
                root, Array(given.dropFirst()), "cannot stand beside \"\(first)\": a function has one trigger", &reader)
            return nil
        }
        return http ?? cloudEvents ?? sse.map { .sse(path: $0) } ?? webSocket.map { .webSocket(path: $0) } ?? queue
            ?? schedule
    }

    private func http(_ root: StrictReader.Object, _ reader: inout StrictReader) -> FunctionManifest.Trigger? {
        route(root, "http", &reader).map { .http(method: $0.method, path: $0.path) }
    }

    /// Events come with methods whose requests have a body (HTTP protocol binding of CloudEvents, section 2).
    private func cloudEvents(_ root: StrictReader.Object, _ reader: inout StrictReader) -> FunctionManifest.Trigger? {
        guard let pattern = route(root, "cloudevents", &reader), let json = root.json["cloudevents"] else { return nil }
        guard ["POST", "PUT", "PATCH"].contains(pattern.method) else {
            reader.report(json, "cloudevents", "needs a method whose requests have a body: \"POST \(pattern.path)\"")
            return nil
        }
        return .cloudEvents(method: pattern.method, path: pattern.path)
    }

    private func route(_ root: StrictReader.Object, _ key: String, _ reader: inout StrictReader) -> RoutePattern? {
        guard let text = reader.string(root, key), let json = root.json[key] else { return nil }
        do {
            return try RoutePattern(text)
        } catch {
            reader.report(json, key, error.reason)
            return nil
        }
    }

    /// The path of an event stream or a socket.
    private func path(_ root: StrictReader.Object, _ key: String, _ reader: inout StrictReader) -> String? {
        guard let text = reader.string(root, key), let json = root.json[key] else { return nil }
        do {
            return try RoutePattern(getting: text).path
        } catch {
            reader.report(json, key, error.reason)
            return nil
        }
    }

    private func queue(_ root: StrictReader.Object, _ reader: inout StrictReader) -> FunctionManifest.Trigger? {
        let name = reader.string(root, "queue")
        let moment: FunctionManifest.QueueMoment? = reader.choice(root, "on", aliases: ["complete": .completed])
        guard let json = root.json["queue"] else { return nil }
        if let name { check(queue: name, json, &reader) }
        if root.json["on"] == nil, !Self.triggers.contains(where: { $0 != "queue" && root.json[$0] != nil }) {
            reader.report(
                json, "queue", "needs \"on\" beside it: \"process\", \"progress\", \"completed\" or \"failed\"")
        }
        guard let name, let moment else { return nil }
        return .queue(name: name, on: moment)
    }

    private func schedule(_ root: StrictReader.Object, _ reader: inout StrictReader) -> FunctionManifest.Trigger? {
        let pattern = reader.string(root, "schedule")
        if let pattern, let json = root.json["schedule"] {
            for problem in CronPattern.problems(in: pattern) { reader.report(json, "schedule", "is wrong: \(problem)") }
        }
        let zone = reader.value(
            root, "timezone", "a time zone of the IANA database, such as \"UTC\" or \"Europe/Berlin\""
        ) { json in
            json.string.flatMap { BullSchedule.isTimeZone($0) ? $0 : nil }
        }
        return pattern.map { .schedule(pattern: $0, timeZone: zone ?? "UTC") }
    }

    private func check(queue name: String, _ json: PositionedJSON, _ reader: inout StrictReader) {
        let isVisible = name.unicodeScalars.allSatisfy { $0.value > 0x20 && $0.value != 0x7F }
        if name.isEmpty || name.utf8.count > 128 || name.contains(":") || !isVisible {
            reader.report(json, "queue", "must be a name of 1…128 bytes without colons, spaces and control characters")
        }
    }

    private func handler(_ root: StrictReader.Object, _ reader: inout StrictReader) -> String? {
        reader.value(root, "handler", "the name of a Swift type, such as \"Hello\" or \"Pages.Hello\"") { json in
            guard let name = json.string, !name.isEmpty else { return nil }
            let parts = name.split(separator: ".", omittingEmptySubsequences: false)
            return parts.allSatisfy(SwiftTokens.isIdentifier) ? name : nil
        }
    }

    /// The name of a budget, or several. Whether there are such budgets shows when the host starts.
    private func rateLimit(_ root: StrictReader.Object, _ reader: inout StrictReader) -> [String]? {
        reader.value(root, "rateLimit", "the name of a budget, such as \"writes\", or an array of different ones") {
            json in
            let names = json.string.map { [$0] } ?? json.elements?.compactMap(\.string)
            guard let names, names.count == json.elements?.count ?? 1, !names.contains(""),
                Set(names).count == names.count
            else { return nil }
            return names
        }
    }

    private func retry(_ root: StrictReader.Object, _ reader: inout StrictReader) -> FunctionManifest.Retry? {
        enum Backoff: String, CaseIterable {
            case exponential
            case fixed
        }
        var retry = FunctionManifest.Retry()
        guard let object = reader.object(root, "retry", keys: ["attempts", "backoff", "delay", "jitter"]) else {
            return nil
        }
        retry.attempts = reader.integer(object, "attempts", in: 1...1000) ?? retry.attempts
        let backoff: Backoff? = reader.choice(object, "backoff")
        retry.isExponential = backoff.map { $0 == .exponential } ?? retry.isExponential
        retry.delay = reader.duration(object, "delay", in: .zero...(.seconds(86_400))) ?? retry.delay
        retry.jitter = reader.number(object, "jitter", in: 0...1) ?? retry.jitter
        return retry
    }

    private func misplaced(
        _ root: StrictReader.Object, _ keys: [String], _ reason: String, _ reader: inout StrictReader
    ) {
        for key in keys {
            if let json = root.json[key] { reader.report(json, key, reason) }
        }
    }
}
