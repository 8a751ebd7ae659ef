internal import FunctionKit
internal import RedisClient

extension BullQueueControl {
    /// Pauses the queue: no job is taken until ``resume()``; running ones go on, added ones wait.
    ///
    /// - Returns: `false` when it was paused already.
    /// - Throws: ``BullError`` with code `.redis`.
    @discardableResult
    public func pause() async throws(BullError) -> Bool {
        try await run(BullScripts.pauseQueue).integer == 1
    }

    /// Lets the queue run again, and brings back what a client of version 5 put aside when it paused it.
    ///
    /// - Throws: ``BullError`` with code `.redis`: the queue may still be paused then; call it again.
    public func resume() async throws(BullError) {
        // Each step brings back 7000, and nobody of this generation adds to that list; one of version 5 might.
        for _ in 0..<10_000 {
            guard let left = try await run(BullScripts.resumeQueue).integer else {
                throw BullError(.redis, "an unexpected reply to a resumption")
            }
            if left == 0 { return }
        }
        throw BullError(.wrongState, "another client goes on filling the list of paused jobs")
    }

    /// Removes the jobs that wait, with or without a priority; active ones and those that have ended stay, and what
    /// schedulers have planned as their next. A parent that waited for removed children alone goes with them.
    ///
    /// - Parameter includesDelayed: Whether the delayed ones go too.
    /// - Returns: The ids that were removed. Jobs that are added meanwhile may stay.
    /// - Throws: ``BullError`` with code `.redis`: some may have been removed.
    public func drain(includesDelayed: Bool = false) async throws(BullError) -> [String] {
        let counts = try await counts()
        let waiting = counts[.waiting] + counts[.paused] + counts[.prioritized] + counts[.delayed]
        var removed: [String] = []
        for _ in 0...(waiting / BullQueueControl.stepCount) {
            let step = try await run(
                BullScripts.drainQueue,
                [
                    BullQueueControl.now, includesDelayed ? "delayed" : "",
                    .integer(Int64(BullQueueControl.stepCount)),
                ]
            ).strings
            removed += step
            if step.count < BullQueueControl.stepCount { break }
        }
        return removed
    }

    /// Removes jobs of one state that ended, else were started, else were added so long ago. Jobs that a worker holds
    /// stay, and what schedulers have planned as their next.
    ///
    /// - Parameters:
    ///   - state: Any but ``BullJobState/unknown``.
    ///   - age: The least age.
    ///   - limit: How many at most; `nil` for all.
    /// - Returns: The ids that were removed.
    /// - Throws: ``BullError`` with code `.redis`: some may have been removed.
    public func clean(
        _ state: BullJobState, olderThan age: Duration, limit: Int? = nil
    ) async throws(BullError) -> [String] {
        guard let name = state.key else { return [] }
        let now = Timestamp.now.milliseconds
        let before = now - age.wholeMilliseconds
        let steps = try await counts()[state] / BullQueueControl.stepCount
        var removed: [String] = []
        var kept = 0
        for _ in 0...steps where limit.map({ removed.count < $0 }) ?? true {
            let ids = try await ids(in: state, offset: kept, count: BullQueueControl.stepCount)
            let room = min(limit.map { $0 - removed.count } ?? ids.count, ids.count)
            let gone = try await run(
                BullScripts.cleanJobs,
                [.integer(now), .string(name), .integer(before), "", .integer(Int64(room))] + ids.map { .string($0) }
            ).strings
            removed += gone
            kept += Set(ids).subtracting(gone).count
            // Jobs that have ended lie by the time of their end: after the first that is too young all are.
            if ids.count < BullQueueControl.stepCount || (state.hasEnded && gone.isEmpty) { break }
        }
        _ = try await run(
            BullScripts.cleanJobs,
            [.integer(now), .string(name), .integer(before), .integer(Int64(removed.count)), 0])
        return removed
    }

    /// Removes jobs that are in a state; one that a worker holds or that a scheduler has planned as its next stays. No
    /// event is sent; a parent that waited for a removed child alone goes with it.
    ///
    /// - Parameters:
    ///   - ids: Any number of ids.
    ///   - state: Any but ``BullJobState/unknown``.
    /// - Returns: What became of each.
    /// - Throws: ``BullError`` with code `.redis`: some may have been removed.
    public func clean(_ ids: [String], in state: BullJobState) async throws(BullError) -> [BullJobChange] {
        guard let name = state.key else { return ids.map { BullJobChange(id: $0, result: .missing) } }
        var changes: [BullJobChange] = []
        for start in stride(from: 0, to: ids.count, by: BullQueueControl.stepCount) {
            let step = ids[start..<min(start + BullQueueControl.stepCount, ids.count)]
            let removed = Set(
                try await run(
                    BullScripts.cleanJobs,
                    [
                        BullQueueControl.now, .string(name), .integer(.max >> 10), "",
                        .integer(Int64(BullQueueControl.stepCount)),
                    ] + step.map { .string($0) }
                ).strings)
            let left = step.filter { !removed.contains($0) }
            let states = Dictionary(zip(left, try await self.states(of: left))) { first, _ in first }
            changes += step.map { id in
                if removed.contains(id) { return BullJobChange(id: id, result: .done) }
                let found = states[id] ?? .unknown
                return BullJobChange(
                    id: id, result: found == .unknown ? .missing : found == state ? .held : .wrongState)
            }
        }
        return changes
    }

    /// Removes the queue with everything in it: jobs, schedulers, settings, events. It is paused first.
    ///
    /// - Parameter force: Whether jobs that workers hold go too; their workers then lose their locks.
    /// - Throws: ``BullError``: `.wrongState` when jobs are active and it is not forced: the queue is paused then, and
    ///   nothing was removed; `.redis`: some may have been removed, and the queue is paused.
    public func obliterate(force: Bool = false) async throws(BullError) {
        try await pause()
        for _ in 0..<1_000_000 {
            let code = try await run(
                BullScripts.obliterateQueue,
                [BullQueueControl.now, force ? "force" : "", .integer(Int64(BullQueueControl.stepCount))]
            ).integer
            switch code {
            case 0: return
            case 1: continue
            case -1: throw BullError(.wrongState, "the queue \"\(keys.queue)\" was resumed meanwhile")
            case -2: throw BullError(.wrongState, "workers hold jobs of the queue \"\(keys.queue)\"")
            default: throw BullError(.redis, "an unexpected reply to an obliteration")
            }
        }
    }

    /// Sets how many jobs may be active at once over all workers.
    ///
    /// - Parameter count: At least 1, or `nil` for any number.
    /// - Throws: ``BullError`` with code `.invalidOption` or `.redis`.
    public func setGlobalConcurrency(_ count: Int?) async throws(BullError) {
        let key = keys.base + "meta"
        guard let count else {
            _ = try await send(RedisCommand(["HDEL", key, "concurrency"]))
            return
        }
        guard count >= 1 else { throw BullError(.invalidOption, "a queue's concurrency must be at least 1") }
        _ = try await send(RedisCommand(["HSET", key, "concurrency", "\(count)"]))
    }

    /// Sets how many jobs may start in a window over all workers.
    ///
    /// - Parameter limit: The limit, or `nil` for none.
    /// - Throws: ``BullError`` with code `.invalidOption` or `.redis`.
    public func setGlobalRateLimit(_ limit: BullRateLimit?) async throws(BullError) {
        let key = keys.base + "meta"
        guard let limit else {
            _ = try await send(RedisCommand(["HDEL", key, "max", "duration"]))
            return
        }
        let windowMs = limit.window.wholeMilliseconds
        guard limit.count >= 1, windowMs >= 1 else {
            throw BullError(.invalidOption, "a rate limit needs a count and a window of at least 1 ms")
        }
        _ = try await send(RedisCommand(["HSET", key, "max", "\(limit.count)", "duration", "\(windowMs)"]))
    }
}

extension RESPValue {
    /// The texts of an array.
    var strings: [String] { (array ?? []).compactMap(\.string) }
}
