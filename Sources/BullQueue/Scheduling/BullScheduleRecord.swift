public import FunctionKit

/// A scheduler as it stands in the queue, whoever made it.
public struct BullScheduleRecord: Sendable {
    /// The scheduler's id.
    public let id: String
    /// When its next job is due.
    public let next: Timestamp
    /// How many jobs it has planned.
    public let plannedCount: Int
    /// The jobs' name.
    public let name: String
    /// The cron pattern, `nil` for a scheduler with a period.
    public let pattern: String?
    /// The time zone of the pattern; UTC when `nil`.
    public let timeZone: String?
    /// The period, `nil` for a scheduler with a pattern.
    public let every: Duration?
    /// No time before this one.
    public let start: Timestamp?
    /// No time after this one.
    public let end: Timestamp?
    /// So many jobs in all; no bound when `nil`.
    public let limit: Int?
    /// The jobs' data, JSON text; `nil` for `{}`.
    public let data: String?
    /// The jobs' options as they stand there, JSON text; `nil` for none.
    public let optionsJSON: String?

    /// Reads a record; `nil` when it tells no times, as the `repeat` entries of version 4 do not.
    init?(id: String, next: Double, _ fields: [String: String]) {
        guard next.isFinite, abs(next) < 9e15, let rule = RepeatRule(record: fields) else { return nil }
        func time(_ field: String) -> Timestamp? {
            fields[field].flatMap { Int64($0) }.map(Timestamp.init(milliseconds:))
        }
        self.id = id
        self.next = Timestamp(milliseconds: Int64(next))
        plannedCount = rule.count
        name = fields["name"] ?? ""
        pattern = rule.pattern
        timeZone = fields["tz"]
        every = rule.pattern == nil ? rule.every.map { .milliseconds($0) } : nil
        start = time("startDate")
        end = time("endDate")
        limit = rule.limit
        data = fields["data"]
        optionsJSON = fields["opts"]
    }
}
