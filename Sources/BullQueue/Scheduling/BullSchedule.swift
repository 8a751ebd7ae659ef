public import FunctionKit

internal import struct Foundation.TimeZone

/// When a scheduler's jobs are due, and what they are.
public struct BullSchedule: Sendable, Hashable {
    /// The times.
    public enum Rhythm: Sendable, Hashable {
        /// Again and again after so long, at least 1 ms. The first time is at once, at the schedule's start, or with an
        /// offset the next multiple of the period since 1970 and the offset, which must be less than the period.
        case every(Duration, offset: Duration? = nil)
        /// At the times of a cron pattern (see ``CronPattern``), read in a zone of the IANA database; UTC when `nil`.
        case pattern(String, timeZone: String? = nil)
    }

    /// The times.
    public var rhythm: Rhythm
    /// No time before this one.
    public var start: Timestamp?
    /// No time after this one.
    public var end: Timestamp?
    /// So many jobs in all, at least 1; no bound when `nil`. The count starts again when the schedule is changed.
    public var limit: Int?
    /// The jobs' name; the scheduler's id when `nil`.
    public var name: String?
    /// The jobs' data, JSON text; `{}` when `nil`.
    public var data: String?
    /// The jobs' options, without id and delay, which are the scheduler's to set, deduplication and parent.
    public var options: BullJobOptions

    /// Makes a schedule; nothing is checked before it is used.
    public init(
        _ rhythm: Rhythm, start: Timestamp? = nil, end: Timestamp? = nil, limit: Int? = nil, name: String? = nil,
        data: String? = nil, options: BullJobOptions = .init()
    ) {
        self.rhythm = rhythm
        self.start = start
        self.end = end
        self.limit = limit
        self.name = name
        self.data = data
        self.options = options
    }

    /// Whether a name is that of a time zone, spelled as the IANA database does: other clients look for a file of that name.
    public static func isTimeZone(_ name: String) -> Bool {
        name == "UTC" || TimeZone(identifier: name)?.identifier == name
    }

    /// Checks everything.
    ///
    /// - Throws: ``BullError`` with code `.invalidSchedule`, `.invalidOption` or `.invalidJSON`.
    func validate() throws(BullError) {
        var problems: [String] = []
        switch rhythm {
        case .every(let period, let offset):
            let ms = period.wholeMilliseconds
            if ms < 1 || Double(ms) > BullBackoff.maximumMs { problems.append("a period is 1 ms to ten years") }
            if let offset, offset < .zero || offset >= period {
                problems.append("an offset is at least 0 and less than the period")
            }
        case .pattern(let text, let zone):
            problems += CronPattern.problems(in: text)
            if let zone, !BullSchedule.isTimeZone(zone) { problems.append("\"\(zone)\" is no time zone") }
        }
        if let limit, limit < 1 { problems.append("a limit is at least 1") }
        if let start, let end, end < start { problems.append("the end lies before the start") }
        if options.id != nil || options.delayMs != 0 {
            problems.append("the id and the delay of a scheduler's jobs cannot be chosen")
        }
        if options.deduplication != nil || options.parent != nil {
            problems.append("a scheduler's jobs have neither a deduplication nor a parent")
        }
        if !problems.isEmpty { throw BullError(.invalidSchedule, problems.joined(separator: "; ")) }
        try options.validate()
        if let data, !JSONNode.isValid(data) {
            throw BullError(.invalidJSON, "the data of a scheduler's jobs is not JSON")
        }
    }
}
