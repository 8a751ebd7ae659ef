public import FunctionKit

/// Which finished jobs a queue keeps, as `removeOnComplete` and `removeOnFail` say it.
public struct BullKeepRule: Sendable, Hashable {
    /// So many of the newest are kept: `nil` for all, 0 removes a job as it finishes.
    public var count: Int?
    /// Jobs that finished within so many seconds are kept; `nil` for no bound.
    public var ageSeconds: Double?
    /// How many outdated jobs are removed each time a job finishes; `nil` for 1000.
    public var limit: Int?

    /// Keeps every job.
    public static let keepAll = BullKeepRule()
    /// Keeps none.
    public static let removeAtOnce = BullKeepRule(count: 0)

    /// Makes a rule.
    ///
    /// - Parameters:
    ///   - count: So many of the newest are kept.
    ///   - ageSeconds: Jobs that finished within so many seconds are kept.
    ///   - limit: How many outdated jobs are removed each time a job finishes.
    public init(count: Int? = nil, ageSeconds: Double? = nil, limit: Int? = nil) {
        self.count = count
        self.ageSeconds = ageSeconds
        self.limit = limit
    }

    /// The form of FunctionKit.
    public init(_ rule: KeepRule) {
        self.init(count: rule.count, ageSeconds: rule.age.map { Double($0.wholeMilliseconds) / 1000 })
    }

    /// The rule in a job's options; `nil` when there is none, so that the worker's own counts.
    init?(_ node: JSONNode?) {
        switch node {
        case .bool(let removes): self = removes ? .removeAtOnce : .keepAll
        case .number: self.init(count: node?.integer.map { max(0, $0) })
        case .object:
            let age = node?["age"]?.number.flatMap { $0 >= 0 ? $0 : nil }
            let count = node?["count"]?.integer.flatMap { $0 >= 0 ? $0 : nil }
            self.init(count: count, ageSeconds: age, limit: node?["limit"]?.integer.flatMap { $0 > 0 ? $0 : nil })
        default: return nil
        }
    }

    func write(into writer: inout JSONWriter) {
        if self == .removeAtOnce {
            writer.value(true)
        } else if ageSeconds == nil && limit == nil {
            if let count { writer.value(count) } else { writer.value(false) }
        } else {
            writer.object { writer in
                if let ageSeconds {
                    writer.key("age")
                    writer.value(ageSeconds)
                }
                if let count {
                    writer.key("count")
                    writer.value(count)
                }
                if let limit {
                    writer.key("limit")
                    writer.value(limit)
                }
            }
        }
    }
}
