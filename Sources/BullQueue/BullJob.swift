public import FunctionKit

/// A job as a worker has taken it.
public struct BullJob: Sendable {
    /// The id within its queue.
    public let id: String
    /// The name that its producer gave it.
    public let name: String
    /// The payload, JSON text as the producer wrote it; it may be anything.
    public let data: String
    /// The options.
    public let options: BullJobOptions
    /// The options as stored.
    public let optionsJSON: String
    /// Attempts that have ended, not counting this one.
    public let attemptsMade: Int
    /// How often the job was started, counting this time.
    public let attemptsStarted: Int
    /// How often a worker was lost with it.
    public let stalledCount: Int
    /// When the producer added it.
    public let addedAt: Timestamp
    /// 0 for none, else 1 (first) to 2 097 151.
    public let priority: Int
    /// Why the job is to fail without being run.
    public let deferredFailure: String?
    /// The key of the parent's hash.
    public let parentKey: String?
    /// The scheduler whose iteration this is.
    public let schedulerID: String?
    /// The progress reported last, JSON text.
    public let progress: String?
    /// The lock's token for this start.
    public let token: String
    /// The stacktraces of earlier attempts, JSON text.
    let stacktraces: String?
    /// What is wrong with the stored job, so that it cannot be run.
    let defect: String?

    /// The attempt that this start is, from 1.
    public var attempt: Int { attemptsMade + 1 }
    /// The attempts in all, at least 1.
    public var maxAttempts: Int { max(1, options.attempts) }

    /// Reads a started job: `{ id, starts, hash }`.
    ///
    /// Missing and unknown fields and the old name `attemptsMade` are accepted; numbers that are none count as 0.
    ///
    /// - Returns: `nil` when the reply has another shape.
    init?(_ reply: RESPValue, token: String) {
        guard let parts = reply.array, parts.count == 3, let id = parts[0].string, let hash = parts[2].array else {
            return nil
        }
        var fields: [String: String] = [:]
        fields.reserveCapacity(hash.count / 2)
        for index in stride(from: 0, to: hash.count - 1, by: 2) {
            if let field = hash[index].string { fields[field] = hash[index + 1].string }
        }
        func count(_ names: String...) -> Int {
            for name in names {
                if let text = fields[name] { return BullJob.whole(text) }
            }
            return 0
        }
        self.id = id
        self.token = token
        name = fields["name"] ?? ""
        data = fields["data"] ?? "{}"
        optionsJSON = fields["opts"] ?? "{}"
        let options = BullJobOptions(json: fields["opts"])
        self.options = options ?? BullJobOptions()
        attemptsMade = max(0, count("atm", "attemptsMade"))
        attemptsStarted = Int(parts[1].integer ?? 1)
        stalledCount = count("stc")
        addedAt = Timestamp(milliseconds: Int64(count("timestamp")))
        priority = count("priority")
        deferredFailure = fields["defa"]
        parentKey = fields["parentKey"]
        schedulerID = fields["rjk"]
        progress = fields["progress"]
        stacktraces = fields["stacktrace"]
        if fields["name"] == nil {
            defect = "the job has no name"
        } else if options == nil {
            defect = "the job's options are not a JSON object"
        } else {
            defect = nil
        }
    }

    /// A field's number, cut to whole; 0 for what is none, or is beyond what every client reads exactly.
    private static func whole(_ text: String) -> Int {
        guard let number = Int(text).map(Double.init) ?? Double(text), abs(number) <= 9_007_199_254_740_991 else {
            return 0
        }
        return Int(number)
    }

    /// The stacktraces with one more, as JSON text, cut to the last `stackTraceLimit`.
    func stacktraces(adding lines: [String]) -> String {
        var all: [String] = []
        if let stacktraces, case .array(let nodes)? = JSONNode(parsing: stacktraces) {
            all = nodes.compactMap(\.string)
        }
        all.append(lines.joined(separator: "\n"))
        var writer = JSONWriter()
        writer.array { writer in
            for text in all.suffix(options.stackTraceLimit ?? all.count) { writer.value(text) }
        }
        return String(buffer: writer.buffer)
    }
}
