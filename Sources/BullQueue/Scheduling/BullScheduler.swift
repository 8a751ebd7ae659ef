public import FunctionKit
public import RedisClient

/// The schedulers of one queue: each has the queue hold its next job, due at the next of its times.
///
/// The worker that starts a job plans the one after it, so that there is one ahead and each time runs once, however many
/// workers there are and whichever client they are.
public final class BullScheduler: Sendable {
    /// The next job of a scheduler.
    public struct Iteration: Sendable, Hashable {
        /// The job's id.
        public let jobID: String
        /// When it is due.
        public let due: Timestamp
    }

    /// The queue's keys.
    public let keys: BullKeys
    private let client: RedisClient

    /// Makes the schedulers of a queue; nothing is sent.
    ///
    /// - Parameters:
    ///   - queue: The queue's name, not empty and without a colon.
    ///   - prefix: What the keys begin with.
    ///   - client: Redis; the caller closes it.
    /// - Throws: ``BullError`` with code `.invalidName`.
    public init(queue: String, prefix: String = "bull", client: RedisClient) throws(BullError) {
        keys = try BullKeys(queue: queue, prefix: prefix)
        self.client = client
    }

    /// Makes a scheduler or changes it, and plans its next job in place of one that was not taken yet.
    ///
    /// A period that is not changed keeps its slots. A job that is being worked is left alone.
    ///
    /// - Parameters:
    ///   - id: The scheduler's id, not empty.
    ///   - schedule: What is to be done when.
    /// - Returns: The next job; `nil` when no time is left before the schedule's end: then nothing was changed.
    /// - Throws: ``BullError`` with code `.invalidName`, `.invalidSchedule`, `.invalidOption` or `.invalidJSON`: nothing
    ///   was changed; or `.redis`: it may have been.
    @discardableResult
    public func upsert(_ id: String, _ schedule: BullSchedule) async throws(BullError) -> Iteration? {
        try await upsert(id, schedule, onlyIfMissing: false)
    }

    /// Does what ``upsert(_:_:)`` does, unless the same scheduler is there with its next job, waiting or being worked.
    /// Any number of processes may do so at the same time.
    ///
    /// - Returns: The next job when one was planned here; `nil` when nothing was to be done.
    /// - Throws: As ``upsert(_:_:)``.
    @discardableResult
    public func ensure(_ id: String, _ schedule: BullSchedule) async throws(BullError) -> Iteration? {
        try await upsert(id, schedule, onlyIfMissing: true)
    }

    /// The scheduler of that id; `nil` when there is none.
    ///
    /// - Throws: ``BullError`` with code `.redis`.
    public func get(_ id: String) async throws(BullError) -> BullScheduleRecord? {
        let replies = try await run([
            RedisCommand(["ZSCORE", keys.schedulers, id]), RedisCommand(["HGETALL", keys.scheduler(id)]),
        ])
        guard let next = replies[0].string.flatMap(Double.init) else { return nil }
        return BullScheduleRecord(id: id, next: next, replies[1].fields)
    }

    /// The queue's schedulers, the one that is due first foremost. Those of version 4 are left out.
    ///
    /// - Parameters:
    ///   - offset: So many are skipped.
    ///   - count: So many at most.
    /// - Returns: Their records.
    /// - Throws: ``BullError`` with code `.redis`.
    public func list(offset: Int = 0, count: Int = 100) async throws(BullError) -> [BullScheduleRecord] {
        guard offset >= 0, count > 0 else { return [] }
        let range = ["\(offset)", "\(offset + count - 1)", "WITHSCORES"]
        let flat = try await run([RedisCommand(["ZRANGE", keys.schedulers] + range)])[0].array ?? []
        var schedulers: [(id: String, next: Double)] = []
        for index in stride(from: 0, to: flat.count - 1, by: 2) {
            if let id = flat[index].string, let next = flat[index + 1].string.flatMap(Double.init) {
                schedulers.append((id, next))
            }
        }
        guard !schedulers.isEmpty else { return [] }
        let records = try await run(schedulers.map { RedisCommand(["HGETALL", keys.scheduler($0.id)]) })
        return zip(schedulers, records).compactMap { BullScheduleRecord(id: $0.id, next: $0.next, $1.fields) }
    }

    /// How many schedulers the queue has.
    ///
    /// - Throws: ``BullError`` with code `.redis`.
    public func count() async throws(BullError) -> Int {
        Int(try await run([RedisCommand(["ZCARD", keys.schedulers])])[0].integer ?? 0)
    }

    /// Removes a scheduler and its next job, when that is not due yet; a job that is due or worked stays and is the last.
    ///
    /// - Returns: Whether it was there.
    /// - Throws: ``BullError`` with code `.redis`; it may then have been removed.
    @discardableResult
    public func remove(_ id: String) async throws(BullError) -> Bool {
        let script = RedisCommand.evaluate(BullScripts.removeScheduler, keys: [keys.base], arguments: [.string(id)])
        return try await run([script])[0].integer == 1
    }

    private func upsert(
        _ id: String, _ schedule: BullSchedule, onlyIfMissing: Bool
    ) async throws(BullError) -> Iteration? {
        guard !id.isEmpty, id.utf8.count <= 512 else {
            throw BullError(.invalidName, "a scheduler's id must have 1 to 512 bytes")
        }
        try schedule.validate()
        let now = Timestamp.now.milliseconds
        if let end = schedule.end, end.milliseconds < now { return nil }
        let rule = RepeatRule(schedule)
        var after = now
        // A time whose job is worked or has ended already is followed by the next one.
        for _ in 0..<32 {
            var slot: Int64?
            if let pattern = rule.pattern {
                slot = try rule.next(of: pattern, after: after)
                guard slot != nil else { return nil }
            }
            let reply = try await run([command(id, schedule, rule, now, slot, onlyIfMissing)])[0]
            if let parts = reply.array, parts.count == 2, let jobID = parts[0].string,
                let due = parts[1].string.flatMap({ Int64($0) })
            {
                return Iteration(jobID: jobID, due: Timestamp(milliseconds: due))
            }
            guard let code = reply.integer, code == 0 || code == 1 || code == -10 || code == -11 else {
                throw BullError(.redis, "an unexpected reply to a change of the scheduler \"\(id)\"")
            }
            guard code == -10, let slot else {
                if code >= 0 { return nil }
                break
            }
            after = slot
        }
        throw BullError(.invalidSchedule, "the next 32 times of the scheduler \"\(id)\" are taken by other jobs")
    }

    private func command(
        _ id: String, _ schedule: BullSchedule, _ rule: RepeatRule, _ now: Int64, _ slot: Int64?, _ onlyIfMissing: Bool
    ) -> RedisCommand {
        let options = schedule.options == BullJobOptions() ? nil : schedule.options.json
        var members: [String: JSONNode] = [:]
        if let options, case .object(let given)? = JSONNode(parsing: options) { members = given }
        let head = rule.head(of: members, scheduler: id, previousMs: slot ?? now, nowMs: now)
        let isNext = schedule.options.isLIFO && schedule.options.priority == 0
        var arguments: [RedisArgument] = [
            .string(id), .integer(now), slot.map { .integer($0) } ?? "", onlyIfMissing ? "missing" : "",
            .string(schedule.name ?? id), .string(head),
            isNext ? "lifo" : .integer(Int64(schedule.options.priority)),
        ]
        func set(_ field: StaticString, _ value: RedisArgument?) {
            if let value { arguments += [.string("\(field)"), value] }
        }
        switch schedule.rhythm {
        case .every(let period, let offset):
            set("every", .integer(period.wholeMilliseconds))
            set("offset", offset.map { .integer($0.wholeMilliseconds) })
        case .pattern(let text, let zone):
            set("pattern", .string(text))
            set("tz", zone.map { .string($0) })
        }
        set("startDate", schedule.start.map { .integer($0.milliseconds) })
        set("endDate", schedule.end.map { .integer($0.milliseconds) })
        set("limit", schedule.limit.map { .integer(Int64($0)) })
        set("data", schedule.data.flatMap { $0 == "{}" ? nil : .string($0) })
        set("opts", options.map { .string($0) })
        return .evaluate(BullScripts.upsertScheduler, keys: [keys.base], arguments: arguments)
    }

    private func run(_ commands: [RedisCommand]) async throws(BullError) -> [RESPValue] {
        do {
            let replies = try await client.pipeline(commands)
            for case .error(let message) in replies { throw RedisError(.server, message) }
            return replies
        } catch {
            throw BullError(.redis, "the schedulers of the queue \"\(keys.queue)\" cannot be reached", cause: error)
        }
    }
}
