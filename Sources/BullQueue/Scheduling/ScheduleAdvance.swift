internal import FunctionKit
internal import RedisClient

/// What the worker that starts a scheduler's job does first: it plans the next one.
struct ScheduleAdvance {
    enum Outcome: Sendable, Hashable {
        case planned(jobID: String)
        /// Another job follows already, or the scheduler is gone.
        case notCurrent
        /// The schedule's limit or end is reached.
        case over
    }

    let schedulerID: String
    let job: BullJob
    let keys: BullKeys
    let client: RedisClient
    /// Times since this long ago are not left out.
    var grace = Duration.zero

    /// Plans the job that follows. It may be done any number of times.
    ///
    /// - Throws: ``BullError`` with code `.invalidSchedule` when the job and the record tell no times that can be read, or
    ///   `.redis`; nothing follows then.
    func run(now: Int64) async throws(BullError) -> Outcome {
        var options: [String: JSONNode] = [:]
        if case .object(let members)? = JSONNode(parsing: job.optionsJSON) { options = members }
        var rule = RepeatRule(options["repeat"])
        if rule == nil {
            let record = try await send(RedisCommand(["HGETALL", keys.scheduler(schedulerID)])).fields
            guard !record.isEmpty else { return .notCurrent }
            rule = RepeatRule(record: record)
        }
        guard let rule = rule?.following() else {
            throw BullError(.invalidSchedule, "neither a pattern nor a period is known")
        }
        if let limit = rule.limit, rule.count > limit { return .over }
        if let end = rule.end, now > end { return .over }
        if options["attempts"] == nil { options["attempts"] = .number(0) }
        // A clock that is behind must not plan a time that has had its job.
        var after = max(now - grace.wholeMilliseconds, job.scheduledAt?.milliseconds ?? now)
        for _ in 0..<32 {
            var slot: Int64?
            if let pattern = rule.pattern {
                slot = try rule.next(of: pattern, after: after)
                guard slot != nil else { return .over }
            }
            let reply = try await send(command(rule, options, now, slot))
            switch reply.integer {
            case nil: return .planned(jobID: reply.string ?? "")
            case 0: return .notCurrent
            case 1: return .over
            case -3: throw BullError(.invalidSchedule, "the scheduler's period cannot be read")
            default: break
            }
            // A time whose job is worked or has ended already is followed by the next one.
            guard reply.integer == -10, let slot else { break }
            after = slot
        }
        throw BullError(.invalidSchedule, "the next 32 times of the scheduler are taken by other jobs")
    }

    private func command(
        _ rule: RepeatRule, _ options: [String: JSONNode], _ now: Int64, _ slot: Int64?
    ) -> RedisCommand {
        let priority = min(max(job.options.priority, 0), BullJobOptions.maximumPriority)
        return .evaluate(
            BullScripts.advanceScheduler, keys: [keys.base],
            arguments: [
                .string(schedulerID), .string(job.id), .integer(now), slot.map { .integer($0) } ?? "",
                rule.every.map { .integer(Int64($0)) } ?? "", rule.end.map { .integer($0) } ?? "",
                .string(job.name),
                .string(rule.head(of: options, scheduler: schedulerID, previousMs: slot ?? now, nowMs: now)),
                job.options.isLIFO && priority == 0 ? "lifo" : .integer(Int64(priority)),
                .integer(grace.wholeMilliseconds),
            ])
    }

    private func send(_ command: RedisCommand) async throws(BullError) -> RESPValue {
        do {
            return try await client.send(command)
        } catch {
            throw BullError(.redis, "the scheduler \"\(schedulerID)\" was not advanced", cause: error)
        }
    }
}

extension RESPValue {
    /// The fields of a hash as `HGETALL` gives them.
    var fields: [String: String] {
        let flat = array ?? []
        var fields: [String: String] = [:]
        for index in stride(from: 0, to: flat.count - 1, by: 2) {
            if let field = flat[index].string { fields[field] = flat[index + 1].string }
        }
        return fields
    }
}
