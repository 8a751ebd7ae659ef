internal import FunctionKit

internal import struct Foundation.Date
internal import struct Foundation.TimeZone

/// When a scheduler's next iteration is, as a job's `repeat` options or the scheduler's record tell.
///
/// The members are kept as they are, so that what other clients put there goes on to the next iteration.
struct RepeatRule {
    private(set) var members: [String: JSONNode]

    /// The rule of a schedule, for its first iteration.
    init(_ schedule: BullSchedule) {
        members = ["count": .number(1)]
        switch schedule.rhythm {
        case .every(let period, let offset):
            members["every"] = .number(Double(period.wholeMilliseconds))
            members["offset"] = offset.map { .number(Double($0.wholeMilliseconds)) }
        case .pattern(let text, let zone):
            members["pattern"] = .string(text)
            members["tz"] = zone.map { .string($0) }
        }
        members["startDate"] = schedule.start.map { .number(Double($0.milliseconds)) }
        members["endDate"] = schedule.end.map { .number(Double($0.milliseconds)) }
        members["limit"] = schedule.limit.map { .number(Double($0)) }
    }

    /// The rule in the `repeat` options of a job; `nil` when they tell no times.
    init?(_ node: JSONNode?) {
        guard case .object(let members)? = node else { return nil }
        self.members = members
        guard pattern != nil || every != nil else { return nil }
    }

    /// The rule in a scheduler's record, where every value is a text.
    init?(record: [String: String]) {
        var members: [String: JSONNode] = [:]
        for field in ["pattern", "tz"] { members[field] = record[field].map { .string($0) } }
        for field in ["every", "startDate", "endDate", "limit"] {
            members[field] = record[field].flatMap(Double.init).map { .number($0) }
        }
        members["count"] = record["ic"].flatMap(Double.init).map { .number($0) }
        self.init(.object(members))
    }

    var pattern: String? { members["pattern"]?.string.flatMap { $0.isEmpty ? nil : $0 } }
    var every: Int? { whole("every").flatMap { $0 > 0 ? $0 : nil } }
    var start: Int64? { time("startDate") }
    var end: Int64? { time("endDate") }
    /// Which iteration this is, from 1.
    var count: Int { whole("count") ?? 0 }
    var limit: Int? { whole("limit") }

    /// The rule of the iteration after this one.
    func following() -> RepeatRule {
        var rule = self
        rule.members["count"] = .number(Double(count + 1))
        return rule
    }

    /// The next time of the pattern after `time`, but not before the rule's start; `nil` for none.
    ///
    /// - Throws: ``BullError`` with code `.invalidSchedule` when the pattern or the zone cannot be read.
    func next(of pattern: String, after time: Int64) throws(BullError) -> Int64? {
        let name = members["tz"]?.string ?? "UTC"
        guard let zone = TimeZone(identifier: name) else {
            throw BullError(.invalidSchedule, "\"\(name)\" is no time zone")
        }
        let from = max(time, start ?? 0)
        return try CronPattern(pattern).next(after: Timestamp(milliseconds: from), in: zone)?.milliseconds
    }

    /// A number, which clients may have written as a text.
    private func whole(_ key: String) -> Int? {
        members[key]?.integer ?? members[key]?.string.flatMap(Double.init).flatMap { JSONNode.number($0).integer }
    }

    /// A time in ms since 1970, which clients may have written as a date (ISO 8601).
    private func time(_ key: String) -> Int64? {
        if let number = whole(key) { return Int64(number) }
        guard let text = members[key]?.string else { return nil }
        let style = Date.ISO8601FormatStyle()
        let date =
            (try? Date(text, strategy: style))
            ?? (try? Date(text, strategy: style.time(includingFractionalSeconds: true)))
        return date.map { Int64(($0.timeIntervalSince1970 * 1000).rounded()) }
    }

    /// The beginning of a job's options with this rule, as `plan` in `iteration.lua` wants it: without the closing brace,
    /// without `delay` and `jobId`.
    func head(of options: [String: JSONNode], scheduler: String, previousMs: Int64, nowMs: Int64) -> String {
        var options = options
        for key in ["delay", "jobId"] { options[key] = nil }
        options["repeat"] = .object(members)
        options["prevMillis"] = .number(Double(previousMs))
        options["timestamp"] = .number(Double(nowMs))
        options["repeatJobKey"] = .string(scheduler)
        return String(JSONNode.object(options).text.dropLast())
    }
}
