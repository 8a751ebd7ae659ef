/// The keys of one queue: `<prefix>:<queue>:…`.
public struct BullKeys: Sendable, Hashable {
    /// The queue's name.
    public let queue: String
    /// What every key of the queue begins with, with the last colon.
    public let base: String

    /// Checks the names.
    ///
    /// - Parameters:
    ///   - queue: Not empty, without a colon.
    ///   - prefix: Not empty; `bull` is what everyone uses. A cluster needs a hash tag in it, such as `{bull}`.
    /// - Throws: ``BullError`` with code `.invalidName`.
    public init(queue: String, prefix: String = "bull") throws(BullError) {
        guard !queue.isEmpty, !queue.utf8.contains(UInt8(ascii: ":")) else {
            throw BullError(.invalidName, "a queue's name must not be empty and must not hold a colon: \"\(queue)\"")
        }
        guard !prefix.isEmpty else { throw BullError(.invalidName, "a queue's prefix must not be empty") }
        self.queue = queue
        base = "\(prefix):\(queue):"
    }

    /// The hash of a job.
    public func job(_ id: String) -> String { base + id }
    /// The lock of a job.
    public func lock(_ id: String) -> String { base + id + ":lock" }
    /// The stream of events.
    public var events: String { base + "events" }
    /// The wake-up markers.
    public var marker: String { base + "marker" }
    /// The schedulers by the time of their next jobs.
    public var schedulers: String { base + "repeat" }
    /// The record of a scheduler.
    public func scheduler(_ id: String) -> String { base + "repeat:" + id }
    /// The set of finished jobs by the time at which they finished.
    public func finished(_ succeeded: Bool) -> String { base + (succeeded ? "completed" : "failed") }
}

extension BullKeys {
    /// The names behind the prefix that are no jobs.
    private static let reserved: Set<String> = [
        "id", "wait", "active", "prioritized", "pc", "delayed", "completed", "failed", "waiting-children", "marker",
        "stalled", "stalled-check", "events", "meta", "limiter", "repeat", "paused", "fair", "fair-time", "parked",
    ]

    /// Whether an id would name one of the queue's own keys.
    static func isReserved(_ id: String) -> Bool {
        id.isEmpty || reserved.contains(id) || ["de:", "dn:", "metrics:", "parked:"].contains { id.hasPrefix($0) }
    }

    /// Checks an id that a producer chose.
    ///
    /// An integer would collide with the ids that the queue gives, `0:` is taken for an old marker, and a colon is
    /// allowed only in ids of exactly three parts, which schedulers make.
    ///
    /// - Throws: ``BullError`` with code `.invalidName`.
    public static func check(customID id: String) throws(BullError) {
        func refusal(_ reason: String) -> BullError { BullError(.invalidName, "the job id \"\(id)\" \(reason)") }
        if id.isEmpty { throw refusal("is empty") }
        var digits = id[...]
        if id.first == "-" || id.first == "+" { digits = digits.dropFirst() }
        if !digits.isEmpty, digits.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) {
            throw refusal("is an integer")
        }
        if id.hasPrefix("0:") { throw refusal("begins with 0:") }
        let parts = id.split(separator: ":", omittingEmptySubsequences: false)
        if parts.count != 1 && parts.count != 3 { throw refusal("holds a colon") }
        if reserved.contains(id) || (parts.count == 3 && ["de", "dn", "metrics", "parked"].contains(parts[0])) {
            throw refusal("is the name of one of the queue's keys")
        }
    }
}
