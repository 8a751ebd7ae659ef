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

    /// The time for which its scheduler planned it; `nil` for a job of no scheduler.
    public var scheduledAt: Timestamp? {
        guard let schedulerID, id.hasPrefix("repeat:\(schedulerID):"), let colon = id.utf8.lastIndex(of: 58) else {
            return nil
        }
        return Int64(id[id.index(after: colon)...]).map(Timestamp.init(milliseconds:))
    }
    /// The attempt that this start is, from 1.
    public var attempt: Int { attemptsMade + 1 }
    /// The attempts in all, at least 1.
    public var maxAttempts: Int { max(1, options.attempts) }

    /// Whether the job has a deduplication or a parent, or may have got a parent since it was read: one with an id of
    /// its producer's choice can be named as a child later.
    let mayHaveRelations: Bool

    /// Reads the hash of a started job, fields and values.
    ///
    /// Missing and unknown fields and the old name `attemptsMade` are accepted; numbers that are none count as 0.
    ///
    /// - Parameters:
    ///   - lease: The job's id, lock and starts.
    ///   - hash: The hash as it was before this start.
    ///   - cache: The options that were read last.
    init(_ lease: BullLease, hash: [RESPValue], cache: inout OptionsCache) {
        var name: String?
        var data = "{}"
        var optionsJSON: String?
        var (made, formerlyMade): (Int?, Int) = (nil, 0)
        var (stalls, priority, timestamp) = (0, 0, 0)
        var deferredFailure: String?
        var parentKey: String?
        var schedulerID: String?
        var progress: String?
        var stacktraces: String?
        var isDeduplicated = false
        for index in stride(from: 0, to: hash.count - 1, by: 2) {
            guard let field = hash[index].string else { continue }
            let value = hash[index + 1]
            switch field {
            case "name": name = value.string
            case "data": data = value.string ?? "{}"
            case "opts": optionsJSON = value.string
            case "timestamp": timestamp = BullJob.whole(value)
            case "priority": priority = BullJob.whole(value)
            case "atm": made = BullJob.whole(value)
            case "attemptsMade": formerlyMade = BullJob.whole(value)
            case "stc": stalls = BullJob.whole(value)
            case "defa": deferredFailure = value.string
            case "parentKey": parentKey = value.string
            case "deid": isDeduplicated = true
            case "rjk": schedulerID = value.string
            case "progress": progress = value.string
            case "stacktrace": stacktraces = value.string
            default: break
            }
        }
        id = lease.id
        token = lease.token
        self.name = name ?? ""
        self.data = data
        self.optionsJSON = optionsJSON ?? "{}"
        let options = cache.options(optionsJSON)
        self.options = options ?? BullJobOptions()
        attemptsMade = max(0, made ?? formerlyMade)
        attemptsStarted = lease.starts
        stalledCount = stalls
        addedAt = Timestamp(milliseconds: Int64(timestamp))
        self.priority = priority
        self.deferredFailure = deferredFailure
        self.parentKey = parentKey
        self.schedulerID = schedulerID
        self.progress = progress
        self.stacktraces = stacktraces
        mayHaveRelations = isDeduplicated || parentKey != nil || !BullJob.isNumber(id)
        if name == nil {
            defect = "the job has no name"
        } else if options == nil {
            defect = "the job's options are not a JSON object"
        } else {
            defect = nil
        }
    }

    /// Options that many jobs have in common are read once.
    struct OptionsCache {
        private var text: String?
        private var value: BullJobOptions?

        mutating func options(_ text: String?) -> BullJobOptions? {
            guard let text else { return BullJobOptions() }
            if text != self.text {
                value = BullJobOptions(json: text)
                self.text = text
            }
            return value
        }
    }

    private static func isNumber(_ id: String) -> Bool {
        id.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    }

    /// A field's number, cut to whole; 0 for what is none, or is beyond what every client reads exactly.
    private static func whole(_ value: RESPValue) -> Int {
        guard let number = value.integer.map(Double.init) ?? value.string.flatMap(Double.init),
            abs(number) <= 9_007_199_254_740_991
        else { return 0 }
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
