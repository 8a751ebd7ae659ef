internal import FunctionKit
internal import NIOCore

/// What a function is called with by hand; the form of fixtures (`docs/functions.md`).
enum InvocationInput: Sendable {
    /// What a fixture holds besides: what its function is expected to do, and when it was recorded. A call does not look
    /// at it.
    static let besides = ["expect", "recorded"]
    private static let time = "a time such as \"2026-01-31T12:00:00Z\", or milliseconds since 1970"

    case request(Request)
    case stream(Request, limit: Int, time: Duration)
    case socket(Request, RecordedSocket.Script)
    case job(QueueJob<String>)
    case event(QueueEvent)
    case tick(ScheduledTick)

    /// Reads it for a function; every key has a default.
    ///
    /// - Throws: `HTTPError` 400 with every problem.
    init(_ body: ByteBuffer, for manifest: FunctionManifest, requestID: String) throws(HTTPError) {
        let json: PositionedJSON
        do {
            let bytes = Array(body.readableBytesView)
            json = try PositionedJSON.parse(bytes.isEmpty ? Array("{}".utf8) : bytes)
        } catch {
            throw HTTPError(.badRequest, code: "malformed_json", message: "The body is not valid JSON: \(error).")
        }
        var reader = StrictReader()
        let input: InvocationInput?
        switch manifest.trigger {
        case .http(let method, let path):
            input = Self.request(json, method, path, requestID, also: [], &reader).map { .request($0.request) }
        case .cloudEvents(let method, let path):
            input = Self.request(json, method, path, requestID, also: [], &reader).map { read in
                .request(Self.asEvent(read.request))
            }
        case .sse(let path):
            input = Self.request(json, "GET", path, requestID, also: ["limit", "seconds"], &reader).map { read in
                let limit = reader.integer(read.object, "limit", in: 1...1000) ?? 10
                let time = reader.number(read.object, "seconds", in: 0.01...3600) ?? 5
                return .stream(read.request, limit: limit, time: .seconds(time))
            }
        case .webSocket(let path): input = Self.socket(json, path, requestID, &reader)
        case .queue(let queue, .process): input = Self.job(json, queue, manifest, requestID, &reader)
        case .queue(let queue, let moment): input = Self.event(json, queue, moment, requestID, &reader)
        case .schedule: input = Self.tick(json, manifest, &reader)
        }
        guard reader.problems.isEmpty, let input else {
            throw .validation(
                reader.problems.map { problem in
                    let hasPath = !problem.path.isEmpty && problem.reason.hasPrefix(problem.path + " ")
                    let reason = hasPath ? String(problem.reason.dropFirst(problem.path.count + 1)) : problem.reason
                    return HTTPError.Detail(field: problem.path, problem: reason)
                })
        }
        self = input
    }

    private static func job(
        _ json: PositionedJSON, _ queue: String, _ manifest: FunctionManifest, _ requestID: String,
        _ reader: inout StrictReader
    ) -> InvocationInput? {
        guard
            let root = reader.object(
                json, keys: ["kind", "queue", "data", "attempt", "maxAttempts", "id", "name"] + besides)
        else { return nil }
        check("process", root, &reader)
        check(queue: queue, root, &reader)
        let attempt = reader.integer(root, "attempt", in: 1...1000) ?? 1
        let most = reader.integer(root, "maxAttempts", in: 1...1000) ?? max(attempt, manifest.retry.attempts)
        return .job(
            QueueJob(
                id: reader.string(root, "id") ?? requestID, name: reader.string(root, "name") ?? "invoke",
                queue: queue, payload: json["data"]?.text() ?? "{}", attempt: attempt, maxAttempts: most,
                addedAt: .now))
    }

    private static func event(
        _ json: PositionedJSON, _ queue: String, _ moment: FunctionManifest.QueueMoment, _ requestID: String,
        _ reader: inout StrictReader
    ) -> InvocationInput? {
        guard let kind = QueueEvent.Kind(rawValue: moment.rawValue),
            let root = reader.object(json, keys: ["kind", "queue", "jobId", "data", "at"] + besides)
        else { return nil }
        check(moment.rawValue, root, &reader)
        check(queue: queue, root, &reader)
        // What a failure's event holds is its reason as it is, not JSON.
        let data = json["data"].map { kind == .failed ? $0.string ?? $0.text() : $0.text() }
        return .event(
            QueueEvent(
                kind: kind, queue: queue, jobID: reader.string(root, "jobId") ?? requestID,
                data: data ?? (kind == .failed ? "" : "null"), at: time(root, &reader) ?? .now))
    }

    private static func tick(
        _ json: PositionedJSON, _ manifest: FunctionManifest, _ reader: inout StrictReader
    ) -> InvocationInput? {
        guard let root = reader.object(json, keys: ["kind", "at", "attempt", "maxAttempts"] + besides) else {
            return nil
        }
        check("schedule", root, &reader)
        let at = time(root, &reader) ?? .now
        let attempt = reader.integer(root, "attempt", in: 1...1000) ?? 1
        let most = reader.integer(root, "maxAttempts", in: 1...1000) ?? max(attempt, manifest.retry.attempts)
        return .tick(ScheduledTick(at: at, attempt: attempt, maxAttempts: most))
    }

    private static func time(_ root: StrictReader.Object, _ reader: inout StrictReader) -> Timestamp? {
        reader.value(root, "at", time) { json in
            json.integer.map { Timestamp(milliseconds: Int64($0)) } ?? json.string.flatMap { Timestamp(utc: $0) }
        }
    }

    private static func check(queue: String, _ root: StrictReader.Object, _ reader: inout StrictReader) {
        _ = reader.value(root, "queue", "\"\(queue)\", the function's") { $0.string == queue ? queue : nil }
    }

    private static func check(_ kind: String, _ root: StrictReader.Object, _ reader: inout StrictReader) {
        _ = reader.value(root, "kind", "\"\(kind)\", which is what calls this function") {
            $0.string == kind ? kind : nil
        }
    }
}
