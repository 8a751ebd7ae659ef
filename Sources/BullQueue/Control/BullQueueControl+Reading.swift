internal import FunctionKit
internal import RedisClient

extension BullQueueControl {
    /// How many jobs there are in each state, and how the queue is set.
    ///
    /// - Throws: ``BullError`` with code `.redis`.
    public func counts() async throws(BullError) -> BullQueueCounts {
        let states = BullJobState.allCases.filter { $0 != .unknown }
        let replies = try await pipeline(
            states.map { state in
                RedisCommand([state.isList ? "LLEN" : "ZCARD", keys.base + (state.key ?? "")])
            } + [RedisCommand(["HMGET", keys.base + "meta", "paused", "concurrency", "max", "duration", "version"])])
        let meta = replies.last?.array ?? []
        func setting(_ index: Int) -> Int? { index < meta.count ? meta[index].integer.map(Int.init) : nil }
        var jobs: [BullJobState: Int] = [:]
        for (state, reply) in zip(states, replies) { jobs[state] = Int(reply.integer ?? 0) }
        var limit: BullRateLimit?
        if let count = setting(2), let window = setting(3) {
            limit = BullRateLimit(count: count, window: .milliseconds(window))
        }
        return BullQueueCounts(
            jobs: jobs, isPaused: meta.first?.string != nil, globalConcurrency: setting(1), globalRateLimit: limit,
            version: meta.last?.string)
    }

    /// How many ready jobs there are of each of some priorities; 0 stands for jobs without one.
    ///
    /// - Throws: ``BullError`` with code `.redis`.
    public func counts(ofPriorities priorities: [Int]) async throws(BullError) -> [Int: Int] {
        let replies = try await pipeline(
            priorities.map { priority in
                guard priority > 0 else { return RedisCommand(["LLEN", keys.base + "wait"]) }
                let first = priority << 32
                return RedisCommand(["ZCOUNT", keys.base + "prioritized", "\(first)", "(\(first + 1 << 32)"])
            })
        return Dictionary(zip(priorities, replies.map { Int($0.integer ?? 0) })) { first, _ in first }
    }

    /// Ids of one state.
    ///
    /// - Parameters:
    ///   - state: The state; ``BullJobState/unknown`` has none.
    ///   - offset: How many to leave out.
    ///   - count: How many at most.
    ///   - newestFirst: `false` begins with the next to be taken, or with the first that ended; `true` at the other end.
    /// - Returns: The ids, in that order.
    /// - Throws: ``BullError`` with code `.redis`.
    public func ids(
        in state: BullJobState, offset: Int = 0, count: Int, newestFirst: Bool = false
    ) async throws(BullError) -> [String] {
        guard let name = state.key, count > 0, offset >= 0 else { return [] }
        let key = keys.base + name
        let (first, last) = ("\(offset)", "\(offset + count - 1)")
        let reply: RESPValue
        if state.isList, !newestFirst {
            // The right end is the next, so the page lies before it.
            reply = try await send(RedisCommand(["LRANGE", key, "-\(offset + count)", "-\(offset + 1)"]))
            return (reply.array ?? []).reversed().compactMap(\.string)
        } else if state.isList {
            reply = try await send(RedisCommand(["LRANGE", key, first, last]))
        } else {
            reply = try await send(RedisCommand([newestFirst ? "ZREVRANGE" : "ZRANGE", key, first, last]))
        }
        return (reply.array ?? []).compactMap(\.string)
    }

    /// Jobs of one state, as ``ids(in:offset:count:newestFirst:)`` gives their ids.
    ///
    /// - Returns: The jobs; one whose hash is gone or is no hash has no fields.
    /// - Throws: ``BullError`` with code `.redis`.
    public func jobs(
        in state: BullJobState, offset: Int = 0, count: Int, newestFirst: Bool = false
    ) async throws(BullError) -> [BullStoredJob] {
        try await jobs(try await ids(in: state, offset: offset, count: count, newestFirst: newestFirst))
    }

    /// Jobs by their ids, in the same order.
    ///
    /// - Throws: ``BullError`` with code `.redis`.
    public func jobs(_ ids: [String]) async throws(BullError) -> [BullStoredJob] {
        let replies = try await pipeline(ids.map { RedisCommand(["HGETALL", keys.job($0)]) })
        return zip(ids, replies).map { BullStoredJob(id: $0, reply: $1) }
    }

    /// The states of jobs, in the order of their ids.
    ///
    /// - Throws: ``BullError`` with code `.redis`.
    public func states(of ids: [String]) async throws(BullError) -> [BullJobState] {
        guard !ids.isEmpty else { return [] }
        let states = try await run(BullScripts.jobStates, ids.map { .string($0) }).array ?? []
        return states.map { $0.string.flatMap(BullJobState.init) ?? .unknown }
    }

    /// Everything about one job.
    ///
    /// - Parameters:
    ///   - id: The job's id.
    ///   - logCount: How many lines of its log at most, the last ones.
    /// - Returns: The job, or `nil` when there is none.
    /// - Throws: ``BullError`` with code `.redis`.
    public func detail(of id: String, logCount: Int = 100) async throws(BullError) -> BullJobDetail? {
        guard !BullKeys.isReserved(id) else { return nil }
        let key = keys.job(id)
        let replies = try await pipeline([
            RedisCommand(["HGETALL", key]),
            .evaluate(BullScripts.jobStates, keys: [keys.base], arguments: [.string(id)]),
            RedisCommand(["LRANGE", key + ":logs", "-\(max(1, logCount))", "-1"]),
            RedisCommand(["LLEN", key + ":logs"]),
            RedisCommand(["GET", keys.lock(id)]), RedisCommand(["PTTL", keys.lock(id)]),
            RedisCommand(["SCARD", key + ":dependencies"]), RedisCommand(["ZSCORE", keys.base + "delayed", id]),
        ])
        let job = BullStoredJob(id: id, reply: replies[0])
        let state = replies[1].array?.first?.string.flatMap(BullJobState.init) ?? .unknown
        guard job.exists || state != .unknown else { return nil }
        let lockMs = replies[5].integer ?? -1
        let due = replies[7].string.flatMap(Double.init).map { Timestamp(milliseconds: Int64($0 / 4096)) }
        return BullJobDetail(
            job: job, state: state, log: (replies[2].array ?? []).compactMap(\.string),
            logCount: Int(replies[3].integer ?? 0), lockToken: replies[4].string,
            lockRemaining: lockMs >= 0 ? .milliseconds(lockMs) : nil, pendingChildCount: Int(replies[6].integer ?? 0),
            dueAt: due)
    }

    /// How a job ended.
    ///
    /// - Returns: `true` with the return value's JSON, `false` with the reason; `nil` while it has not ended.
    /// - Throws: ``BullError`` with code `.jobMissing` or `.redis`.
    public func finished(_ id: String) async throws(BullError) -> (succeeded: Bool, value: String)? {
        let (job, state) = (try await jobs([id])[0], try await states(of: [id])[0])
        guard job.exists else { throw BullError(.jobMissing, "there is no job \(id)") }
        return switch state {
        case .completed: (true, job.returnValue ?? "null")
        case .failed: (false, job.failedReason ?? "")
        default: nil
        }
    }

    /// How many jobs ended, by the minute, where the queue's workers count it.
    ///
    /// - Parameter succeeded: The completed ones, or the failed ones.
    /// - Returns: The jobs that ended in all and in each of the last minutes, newest first.
    /// - Throws: ``BullError`` with code `.redis`.
    public func metrics(succeeded: Bool) async throws(BullError) -> (total: Int, minutes: [Int]) {
        let key = keys.base + "metrics:" + (succeeded ? "completed" : "failed")
        let replies = try await pipeline([
            RedisCommand(["HGET", key, "count"]), RedisCommand(["LRANGE", key + ":data", "0", "-1"]),
        ])
        return (Int(replies[0].integer ?? 0), (replies[1].array ?? []).map { Int($0.integer ?? 0) })
    }
}
