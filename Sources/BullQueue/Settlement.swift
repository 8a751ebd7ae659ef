internal import FunctionKit
internal import RedisClient

/// What is to be told to the queue about a job that a worker holds.
struct Settlement: Sendable {
    enum Operation: Sendable, Hashable {
        case finish(succeeded: Bool, value: String, stacktrace: String)
        case retry(reason: String, stacktrace: String)
        case delay(ms: Int64, reason: String, stacktrace: String)
        case handBack(limitMs: Int64 = 0)
        /// Nothing is left to be told.
        case none
    }

    let lease: BullLease
    /// The job, where its attempt has ended.
    let job: BullJob?
    /// The worker's number for this start of the job.
    let run: Int
    var operation: Operation
    /// Whether it was sent before without a reply, so that it may have happened already.
    var isUncertain = false
    /// Whether it must be sent apart from others, since a step with others failed.
    var isAlone = false
    /// Whether its lock had lapsed, so that it is to be taken again first, if nobody else has the job.
    var retakesLock = false

    init(_ lease: BullLease, job: BullJob? = nil, run: Int, operation: Operation) {
        self.lease = lease
        self.job = job
        self.run = run
        self.operation = operation
    }

    /// Chooses what follows an attempt.
    init(_ lease: BullLease, job: BullJob, run: Int, outcome: BullOutcome) {
        self.init(lease, job: job, run: run, operation: Settlement.operation(job, outcome))
    }

    private static func operation(_ job: BullJob, _ outcome: BullOutcome) -> Operation {
        switch outcome {
        case .handBack: return .handBack()
        case .moved: return .none
        case .postponed(let delay):
            let ms = min(max(delay.wholeMilliseconds, 1), Int64(BullBackoff.maximumMs))
            return .delay(ms: ms, reason: "", stacktrace: "")
        case .rateLimited(let delay):
            return .handBack(limitMs: min(max(delay.wholeMilliseconds, 1), Int64(BullBackoff.maximumMs)))
        case .completed(let value):
            guard JSONNode.isValid(value) else {
                return failure(job, "the return value is not JSON text", [])
            }
            return .finish(succeeded: true, value: value, stacktrace: "")
        case .failed(let reason, let stacktrace, let retry):
            guard retry != .never, job.attempt < job.maxAttempts else { return failure(job, reason, stacktrace) }
            let step: BullBackoff.Step
            if case .after(let delay) = retry {
                let ms = min(delay.wholeMilliseconds, Int64(BullBackoff.maximumMs))
                step = ms > 0 ? .delay(ms: ms) : .immediately
            } else {
                step = job.options.backoff?.step(afterAttempt: job.attempt, random: .random(in: 0..<1)) ?? .immediately
            }
            switch step {
            case .immediately: return .retry(reason: reason, stacktrace: traces(job, reason, stacktrace))
            case .delay(let ms): return .delay(ms: ms, reason: reason, stacktrace: traces(job, reason, stacktrace))
            case .unknownType(let type):
                return failure(job, "\(reason) (not tried again: unknown back-off type \"\(type)\")", stacktrace)
            }
        }
    }

    private static func failure(_ job: BullJob, _ reason: String, _ stacktrace: [String]) -> Operation {
        .finish(succeeded: false, value: reason, stacktrace: traces(job, reason, stacktrace))
    }

    private static func traces(_ job: BullJob, _ reason: String, _ stacktrace: [String]) -> String {
        job.stacktraces(adding: stacktrace.isEmpty ? [reason] : stacktrace)
    }

    /// Takes a lapsed lock again; see `extendLocks.lua`.
    func retakeCommand(_ keys: BullKeys, lockMs: Int64) -> RedisCommand {
        .evaluate(
            BullScripts.extendLocks, keys: [keys.base],
            arguments: [
                .integer(lockMs), .string(lease.id), .string(lease.token), .integer(Int64(lease.starts)),
            ])
    }

    var isFinish: Bool {
        if case .finish = operation { true } else { false }
    }

    /// Whether the job goes back to where it came from: the reply tells how long a rate limit still runs.
    var isHandBack: Bool {
        if case .handBack = operation { true } else { false }
    }

    /// The command of an operation that has one of its own; `nil` for a finish.
    func command(_ keys: BullKeys, now: Int64) -> RedisCommand? {
        let id = RedisArgument.string(lease.id)
        let token = RedisArgument.string(lease.token)
        switch operation {
        case .finish, .none: return nil
        case .retry(let reason, let stacktrace):
            let order: RedisArgument = job?.options.isLIFO == true ? "lifo" : ""
            return .evaluate(
                BullScripts.retryJob, keys: [keys.base],
                arguments: [.integer(now), id, token, .string(reason), .string(stacktrace), order])
        case .delay(let ms, let reason, let stacktrace):
            return .evaluate(
                BullScripts.delayJob, keys: [keys.base],
                arguments: [.integer(now), id, token, .integer(ms), .string(reason), .string(stacktrace)])
        case .handBack(let limitMs):
            return .evaluate(
                BullScripts.handBackJob, keys: [keys.base], arguments: [id, token, .integer(limitMs)])
        }
    }

    /// Appends a finish's six arguments; see `finishJobs.lua`.
    func appendFinish(to arguments: inout [RedisArgument], _ options: BullWorkerOptions) {
        guard case .finish(let succeeded, let value, let stacktrace) = operation, let job else { return }
        let rule =
            succeeded
            ? job.options.removeOnComplete ?? options.removeOnComplete
            : job.options.removeOnFail ?? options.removeOnFail
        arguments.append(.string(lease.id))
        arguments.append(.string(lease.token))
        arguments.append(succeeded ? "completed" : "failed")
        arguments.append(.string(value))
        arguments.append(.integer(Int64(job.attempt)))
        let isPlain = succeeded && rule == .keepAll && !job.mayHaveRelations
        arguments.append(isPlain ? "" : .string(Settlement.details(job, succeeded, stacktrace, rule)))
    }

    /// What few jobs have, as JSON text.
    private static func details(_ job: BullJob, _ succeeded: Bool, _ stacktrace: String, _ rule: BullKeepRule) -> String
    {
        var writer = JSONWriter(capacity: 128 + stacktrace.utf8.count)
        writer.object { writer in
            if let count = rule.count {
                writer.key("count")
                writer.value(count)
            }
            if let age = rule.ageSeconds {
                writer.key("age")
                writer.value(Int(min(age * 1000, BullBackoff.maximumMs)))
                writer.key("limit")
                writer.value(rule.limit ?? 1000)
            }
            if !succeeded {
                writer.key("attempts")
                writer.value(job.options.attempts)
                if !stacktrace.isEmpty {
                    writer.key("stacktrace")
                    writer.value(stacktrace)
                }
            }
            if job.mayHaveRelations {
                writer.key("related")
                writer.value(true)
            }
        }
        return String(buffer: writer.buffer)
    }
}
