public import FunctionKit

/// A job as Redis holds it, whatever others have written: every field may be missing or odd.
public struct BullStoredJob: Sendable, Hashable {
    /// The id within its queue.
    public let id: String
    /// The hash; empty when it is gone or is no hash.
    public let fields: [String: String]

    init(id: String, reply: RESPValue) {
        self.id = id
        let flat = reply.array ?? []
        var fields: [String: String] = [:]
        fields.reserveCapacity(flat.count / 2)
        for index in stride(from: 0, to: flat.count - 1, by: 2) {
            if let field = flat[index].string { fields[field] = flat[index + 1].string }
        }
        self.fields = fields
    }

    /// Whether there is a hash behind the id.
    public var exists: Bool { !fields.isEmpty }
    /// The name, or `nil`.
    public var name: String? { fields["name"] }
    /// The payload as stored; it should be JSON.
    public var data: String? { fields["data"] }
    /// The options as stored; they should be a JSON object.
    public var options: String? { fields["opts"] }
    /// The return value as JSON text, of a completed job.
    public var returnValue: String? { fields["returnvalue"] }
    /// Why the last failed attempt failed.
    public var failedReason: String? { fields["failedReason"] }
    /// The stacktraces of failed attempts, oldest first; empty when there is none or they are not JSON.
    public var stacktraces: [String] {
        guard case .array(let nodes)? = fields["stacktrace"].flatMap(JSONNode.init(parsing:)) else { return [] }
        return nodes.compactMap(\.string)
    }
    /// Attempts that have ended.
    public var attemptsMade: Int? { number("atm") ?? number("attemptsMade") }
    /// How often a worker started it.
    public var attemptsStarted: Int? { number("ats") }
    /// How often its worker was lost.
    public var stalledCount: Int? { number("stc") }
    /// The attempts in all that its options allow, at least 1.
    public var maxAttempts: Int { max(1, BullJobOptions(json: options)?.attempts ?? 1) }
    /// 0 for none, else 1 (first) to 2 097 151.
    public var priority: Int { number("priority") ?? 0 }
    /// When it was added.
    public var addedAt: Timestamp? { time("timestamp") }
    /// When it was last started.
    public var startedAt: Timestamp? { time("processedOn") }
    /// When it completed or failed.
    public var finishedAt: Timestamp? { time("finishedOn") }

    /// What is wrong with the stored job, in words; empty when a worker could run it.
    public var defects: [String] {
        guard exists else { return ["there is no job behind this id"] }
        var defects: [String] = []
        if name == nil { defects.append("the name is missing") }
        if let data {
            if !JSONNode.isValid(data) { defects.append("the data is not JSON") }
        } else {
            defects.append("the data is missing")
        }
        if BullJobOptions(json: options) == nil { defects.append("the options are not a JSON object") }
        return defects
    }

    private func number(_ field: String) -> Int? {
        guard let text = fields[field] else { return nil }
        if let number = Int(text) { return number }
        guard let number = Double(text), abs(number) <= 9_007_199_254_740_991 else { return nil }
        return Int(number)
    }

    private func time(_ field: String) -> Timestamp? {
        // Years 1970 to 9999; what lies beyond was no time.
        guard let ms = number(field), (0...253_402_300_799_999).contains(ms) else { return nil }
        return Timestamp(milliseconds: Int64(ms))
    }
}

extension BullQueueControl {
    /// Whether a text is JSON as workers read it: RFC 8259, at most 64 levels deep.
    public static func isJSON(_ text: String) -> Bool { JSONNode.isValid(text) }
}
