internal import FunctionKit

/// A job's options as they are stored with it.
///
/// The stored text itself is never rewritten, so that what this type does not know survives.
public struct BullJobOptions: Sendable, Hashable {
    /// The attempts in all; 0 and 1 both mean that none follows the first.
    public var attempts: Int
    /// The time between attempts; none when `nil`.
    public var backoff: BullBackoff?
    /// The time until the job is ready, in milliseconds.
    public var delayMs: Int64
    /// 0 for none, else 1 (first) to 2 097 151.
    public var priority: Int
    /// Whether the job is to be taken before those that wait already; only without a priority.
    public var isLIFO: Bool
    /// The id, when the producer chose it.
    public var id: String?
    /// Which completed jobs are kept; the worker's rule when `nil`.
    public var removeOnComplete: BullKeepRule?
    /// Which failed jobs are kept; the worker's rule when `nil`.
    public var removeOnFail: BullKeepRule?
    /// How many stacktraces are kept with the job, the last ones; all when `nil`.
    public var stackTraceLimit: Int?
    /// How many log lines are kept with the job, the last ones; all when `nil`.
    public var keepLogs: Int?
    /// The deduplication that the job is to hold; excludes a parent.
    public var deduplication: BullDeduplication?
    /// The job that waits for this one.
    public var parent: BullParent?
    /// Whose job it is: it then has its turn among the jobs of all owners instead of a priority. It is stored with the job,
    /// not in its options.
    public var owner: String?
    /// What a failure for good means to the parent; without one it waits until the job is tried again or removed.
    public var onFailure: BullChildFailure?

    /// The highest priority number, that of the last to be taken.
    public static let maximumPriority = 2_097_151

    /// Makes options; the defaults are a plain job with one attempt.
    public init(
        attempts: Int = 0, backoff: BullBackoff? = nil, delayMs: Int64 = 0, priority: Int = 0, isLIFO: Bool = false,
        id: String? = nil, removeOnComplete: BullKeepRule? = nil, removeOnFail: BullKeepRule? = nil,
        stackTraceLimit: Int? = nil, keepLogs: Int? = nil, deduplication: BullDeduplication? = nil,
        parent: BullParent? = nil, onFailure: BullChildFailure? = nil, owner: String? = nil
    ) {
        self.attempts = attempts
        self.backoff = backoff
        self.delayMs = delayMs
        self.priority = priority
        self.isLIFO = isLIFO
        self.id = id
        self.removeOnComplete = removeOnComplete
        self.removeOnFail = removeOnFail
        self.stackTraceLimit = stackTraceLimit
        self.keepLogs = keepLogs
        self.deduplication = deduplication
        self.parent = parent
        self.onFailure = onFailure
        self.owner = owner
    }

    /// Reads options that anyone may have written: what is missing, unknown or of the wrong type counts as not given.
    /// The result is `nil` when the text is not a JSON object.
    ///
    /// - Parameter json: JSON text; `nil` or empty for a job without options.
    public init?(json: String?) {
        guard let json, !json.isEmpty else {
            self.init()
            return
        }
        guard let node = JSONNode(parsing: json), case .object = node else { return nil }
        self.init(
            attempts: max(0, node["attempts"]?.integer ?? 0), backoff: BullJobOptions.backoff(node["backoff"]),
            delayMs: Int64(max(0, node["delay"]?.integer ?? 0)), priority: max(0, node["priority"]?.integer ?? 0),
            isLIFO: node["lifo"] == .bool(true), id: node["jobId"]?.string,
            removeOnComplete: BullKeepRule(node["removeOnComplete"]), removeOnFail: BullKeepRule(node["removeOnFail"]),
            stackTraceLimit: node["stackTraceLimit"]?.integer.flatMap { $0 >= 0 ? $0 : nil },
            keepLogs: node["kl"]?.integer.flatMap { $0 >= 0 ? $0 : nil },
            deduplication: BullDeduplication(node["de"]), parent: BullParent(node["parent"]),
            onFailure: BullChildFailure.allCases.first { node[$0.rawValue] == .bool(true) })
    }

    private static func backoff(_ node: JSONNode?) -> BullBackoff? {
        switch node {
        case .number(let delay): return BullBackoff(type: "fixed", delayMs: delay)
        case .object:
            // A type that is not even a text is as unknown as any other.
            let type = node?["type"].map { $0.string ?? "?" }
            return BullBackoff(
                type: type ?? "?", delayMs: max(0, node?["delay"]?.number ?? 0), jitter: node?["jitter"]?.number ?? 0)
        default: return nil
        }
    }

    /// The options as JSON text, with the names of the wire; what is not set is left out, `attempts` never.
    public var json: String {
        var writer = JSONWriter(capacity: 160)
        writer.object { writer in
            writer.key("attempts")
            writer.value(attempts)
            if let backoff {
                writer.key("backoff")
                writer.object { writer in
                    writer.key("type")
                    writer.value(backoff.type)
                    writer.key("delay")
                    writer.value(backoff.delayMs)
                    if backoff.jitter > 0 {
                        writer.key("jitter")
                        writer.value(backoff.jitter)
                    }
                }
            }
            if delayMs > 0 {
                writer.key("delay")
                writer.value(Int(delayMs))
            }
            if priority > 0 {
                writer.key("priority")
                writer.value(priority)
            }
            if isLIFO {
                writer.key("lifo")
                writer.value(true)
            }
            if let id {
                writer.key("jobId")
                writer.value(id)
            }
            if let removeOnComplete {
                writer.key("removeOnComplete")
                removeOnComplete.write(into: &writer)
            }
            if let removeOnFail {
                writer.key("removeOnFail")
                removeOnFail.write(into: &writer)
            }
            if let stackTraceLimit {
                writer.key("stackTraceLimit")
                writer.value(stackTraceLimit)
            }
            if let keepLogs {
                writer.key("kl")
                writer.value(keepLogs)
            }
            if let deduplication {
                writer.key("de")
                deduplication.write(into: &writer)
            }
            if let parent {
                writer.key("parent")
                parent.write(into: &writer, queueKey: "queue")
            }
            if let onFailure {
                writer.key(escaping: onFailure.rawValue)
                writer.value(true)
            }
        }
        return String(buffer: writer.buffer)
    }

    /// Checks what a producer asks for.
    ///
    /// - Throws: ``BullError`` with code `.invalidOption` or `.invalidName`.
    func validate() throws(BullError) {
        if let id { try BullKeys.check(customID: id) }
        guard (0...BullJobOptions.maximumPriority).contains(priority) else {
            throw BullError(.invalidOption, "a job's priority must be 0 to \(BullJobOptions.maximumPriority)")
        }
        if let owner, !(1...1024).contains(owner.utf8.count) {
            throw BullError(.invalidOption, "a job's owner must have 1 to 1024 bytes")
        }
        guard attempts >= 0 else { throw BullError(.invalidOption, "a job's attempts must not be negative") }
        guard delayMs >= 0, Double(delayMs) <= BullBackoff.maximumMs else {
            throw BullError(.invalidOption, "a job's delay must be 0 to ten years")
        }
        if let deduplication {
            guard !deduplication.id.isEmpty else {
                throw BullError(.invalidOption, "a deduplication's id must not be empty")
            }
            guard parent == nil else {
                throw BullError(.invalidOption, "a job with a parent cannot be deduplicated")
            }
        }
        if let backoff {
            guard backoff.delayMs >= 0, backoff.delayMs.isFinite, (0...1).contains(backoff.jitter) else {
                throw BullError(.invalidOption, "a back-off's delay must not be negative, its jitter 0 to 1")
            }
        }
    }
}
