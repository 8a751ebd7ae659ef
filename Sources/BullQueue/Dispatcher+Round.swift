internal import FunctionKit
internal import NIOCore
internal import RedisClient
internal import Synchronization

extension Dispatcher {
    /// One write to the queue and what each of its commands settles.
    private struct Round {
        var commands: [RedisCommand] = []
        var settled: [[Settlement]] = []
        /// The command that also fetches.
        var fetchIndex: Int?
        /// Whether that command is a finish, whose reply has the codes in front.
        var isFetchWithFinish = false
    }

    /// Tells the queue what is pending and fetches up to `count` jobs.
    ///
    /// - Returns: The failure when the client is closed.
    mutating func round(_ count: Int, _ sent: NIODeadline) async -> BullError? {
        let round = plan(count)
        let replies: [RESPValue]
        do {
            replies =
                round.commands.count == 1
                ? [try await Dispatcher.single(worker.client, round.commands[0])]
                : try await worker.client.pipeline(round.commands)
        } catch {
            for index in pending.indices { pending[index].isUncertain = true }
            if count > 0 { isFetchUncertain = true }
            if error.code == .closed { return BullError(.redis, "the client was closed", cause: error) }
            backOff("the queue could not be reached", "\(error)")
            return nil
        }
        failureCount = 0
        pending = []
        for (index, reply) in replies.enumerated() {
            let settlements = round.settled[index]
            if case .error(let message) = reply {
                fail(settlements, RedisError(.server, message), isFetch: index == round.fetchIndex)
            } else if index == round.fetchIndex {
                var parts = (reply.array ?? [])[...]
                if round.isFetchWithFinish { settle(settlements, codes: parts.popFirst()) }
                takeJobs(Array(parts), requested: count, sent)
            } else {
                settle(settlements, codes: settlements.first?.isFinish == true ? reply.array?.first : .array([reply]))
            }
        }
        return nil
    }

    /// A single command as an element of a pipeline: an error of the server is a reply.
    private static func single(_ client: RedisClient, _ command: RedisCommand) async throws(RedisError) -> RESPValue {
        do {
            return try await client.send(command)
        } catch  where error.code == .server {
            return .error(error.message)
        }
    }

    private func plan(_ count: Int) -> Round {
        var round = Round()
        let now = Timestamp.now.milliseconds
        var finishes: [[Settlement]] = [[]]
        for settlement in pending {
            if settlement.retakesLock {
                let lockMs = worker.options.lockDuration.wholeMilliseconds
                round.commands.append(settlement.retakeCommand(worker.keys, lockMs: lockMs))
                round.settled.append([])
            }
            if let command = settlement.command(worker.keys, now: now) {
                round.commands.append(command)
                round.settled.append([settlement])
            } else if settlement.isAlone {
                finishes.insert([settlement], at: 0)
            } else {
                if finishes[finishes.count - 1].count == Dispatcher.batch { finishes.append([]) }
                finishes[finishes.count - 1].append(settlement)
            }
        }
        // After a lost reply the jobs that it told of are asked for apart.
        let fetchesApart = isFetchUncertain || (count > 0 && finishes[finishes.count - 1].isEmpty)
        for (index, settlements) in finishes.enumerated() where !settlements.isEmpty {
            let fetches = count > 0 && !fetchesApart && index == finishes.count - 1
            var arguments = fetchArguments(now, fetches ? count : 0)
            for settlement in settlements { settlement.appendFinish(to: &arguments, worker.options) }
            if fetches {
                round.fetchIndex = round.commands.count
                round.isFetchWithFinish = true
            }
            round.commands.append(.evaluate(BullScripts.finishJobs, keys: [worker.keys.base], arguments: arguments))
            round.settled.append(settlements)
        }
        if fetchesApart {
            round.fetchIndex = round.commands.count
            let again: RedisArgument = isFetchUncertain ? .string(token) : ""
            round.commands.append(
                .evaluate(
                    BullScripts.fetchJobs, keys: [worker.keys.base], arguments: fetchArguments(now, count) + [again]))
            round.settled.append([])
        }
        return round
    }

    private func fetchArguments(_ now: Int64, _ count: Int) -> [RedisArgument] {
        let options = worker.options
        let held = options.worksStalledAlone ? "/\(heldCount)" : ""
        let ownerMax = options.maxRunningPerOwner.map { ":\($0)" } ?? ""
        let wanted: RedisArgument =
            held.isEmpty && ownerMax.isEmpty ? .integer(Int64(count)) : .string("\(count)\(held)\(ownerMax)")
        return [
            .integer(now), wanted, .string(token), .integer(options.lockDuration.wholeMilliseconds),
            .string(options.name ?? ""), options.rateLimit.map { .integer(Int64($0.max)) } ?? "",
            options.rateLimit.map { .integer($0.window.wholeMilliseconds) } ?? "",
        ]
    }

    private mutating func settle(_ settlements: [Settlement], codes: RESPValue?) {
        let codes = codes?.array ?? []
        for (index, settlement) in settlements.enumerated() {
            let code = index < codes.count ? codes[index].integer ?? 0 : 0
            if let job = settlement.job, code == -4 || code == -9 {
                var failed = settlement
                let reason = code == -4 ? "job has pending children" : "job has failed children"
                failed.operation =
                    .finish(succeeded: false, value: reason, stacktrace: job.stacktraces(adding: [reason]))
                pending.append(failed)
                continue
            }
            if code == -2 && !settlement.retakesLock {
                // The lock lapsed, as it does when the server was away for longer. Unless another worker has started
                // the job since, the outcome is still worth having.
                var again = settlement
                again.retakesLock = true
                pending.append(again)
                continue
            }
            keeper.remove(settlement.run)
            if settlement.isHandBack, code > 0 {
                limit(for: code)
            } else if code == 1 {
                worker.logger.warning(
                    "a finished job's parent or deduplication was not updated",
                    metadata: ["job": "\(settlement.lease.id)"])
            } else if code < 0 {
                // After a lost reply this is what a repetition meets when the first one was carried out.
                worker.logger.log(
                    level: settlement.isUncertain ? .debug : .warning, "a job's outcome was dropped",
                    metadata: ["job": "\(settlement.lease.id)", "code": "\(code)", "reason": "\(Self.reason(code))"])
            }
        }
    }

    private static func reason(_ code: Int64) -> String {
        switch code {
        case -1: "the job is gone"
        case -2: "its lock is gone"
        case -3: "it is not active"
        case -6: "another worker has its lock"
        default: "unknown"
        }
    }

    /// A command that the server refused: tried again when the server is away for now, in smaller steps else.
    private mutating func fail(_ settlements: [Settlement], _ error: RedisError, isFetch: Bool) {
        // A step that fails half-way is not undone: it may have taken jobs.
        if isFetch { isFetchUncertain = true }
        if settlements.isEmpty || error.isUnavailable {
            pending += settlements
            backOff("the queue refused a step", "\(error)")
        } else if settlements.count > 1 {
            for var settlement in settlements {
                settlement.isAlone = true
                pending.append(settlement)
            }
        } else if isFetch && !settlements[0].isAlone {
            var settlement = settlements[0]
            settlement.isAlone = true
            pending.append(settlement)
        } else {
            keeper.remove(settlements[0].run)
            worker.logger.error(
                "a job could not be settled; it comes back when its lock has lapsed",
                metadata: ["job": "\(settlements[0].lease.id)", "error": "\(error)"])
        }
    }

    private mutating func backOff(_ message: String, _ error: String) {
        failureCount = min(failureCount + 1, 6)
        let wait = Double(50 << failureCount) * Double.random(in: 0.75..<1.25)
        retryAt = .now() + .milliseconds(Int64(wait))
        worker.logger.warning("\(message)", metadata: ["error": "\(error)", "retryMs": "\(Int(wait))"])
    }

    /// Starts the jobs of a reply: `[jobs, limited, due, refused]`.
    private mutating func takeJobs(_ parts: [RESPValue], requested: Int, _ sent: NIODeadline) {
        guard parts.count == 4, let jobs = parts[0].array, let refused = parts[3].array else {
            backOff("an unexpected reply to a fetch", "\(parts.count) parts")
            return
        }
        for id in refused {
            worker.logger.error(
                "an id was dropped: there is no job behind it, or it is not UTF-8",
                metadata: ["job": "\(id.string ?? "?")"])
        }
        for reply in jobs {
            // Only what the next round needs is read here; the rest in the job's own task, while the server works.
            guard case .array(let parts) = reply, parts.count == 3, let id = parts[0].string,
                case .array(let hash) = parts[2]
            else {
                worker.logger.error("a job could not be read", metadata: ["job": "\(reply)"])
                continue
            }
            begin(BullLease(id: id, token: token, starts: Int(parts[1].integer ?? 1)), hash, sent)
        }
        isFetchUncertain = false
        tokenNumber += 1
        let limited = parts[1].integer ?? 0
        if limited > 0 { limit(for: limited) }
        if limited < 0 { needsQuiet = true }
        let mayHaveMore = requested > 0 && jobs.count >= requested
        needsFetch = limited > 0 || !refused.isEmpty || mayHaveMore
        let due = parts[2].integer ?? 0
        if due > 0 { remember(due: due) }
        if mayHaveMore || due > 0 { callOthers(mayHaveMore, due: due) }
    }

    /// Lets no job be fetched for so many milliseconds.
    private mutating func limit(for ms: Int64) {
        let wait = min(ms, worker.options.maximumRateLimitDelay.wholeMilliseconds)
        limitedUntil = .now() + .milliseconds(wait)
        needsFetch = true
    }

    /// Tells the lanes that wait that there may be more jobs than this one has places for, now or when one is due.
    private func callOthers(_ mayHaveMore: Bool, due: Int64) {
        guard worker.dispatcherWakeUps.count > 1 else { return }
        let called = worker.state.withLock { state in
            let called = state.lanes.indices.filter { $0 != lane && state.lanes[$0].isIdle }
            for other in called {
                state.lanes[other].isCalled = mayHaveMore
                if due > 0 { state.lanes[other].due = due }
            }
            return called
        }
        for other in called { worker.dispatcherWakeUps[other].notify() }
    }

    private mutating func begin(_ lease: BullLease, _ hash: [RESPValue], _ sent: NIODeadline) {
        let (number, isStopping) = worker.state.withLock { state in
            state.nextRun += 1
            return (state.nextRun * state.lanes.count + lane, state.phase.isStopping)
        }
        keeper.add(number, lease, renewed: sent)
        if isStopping {
            pending.append(Settlement(lease, run: number, operation: .handBack()))
        } else {
            worker.start(lease, hash, number: number)
        }
    }
}
