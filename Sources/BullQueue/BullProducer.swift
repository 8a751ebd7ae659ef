public import FunctionKit
public import RedisClient

/// Adds jobs to one queue.
public final class BullProducer: JobQueue, Sendable {
    /// What a job gets whose options name none.
    public struct Policy: Sendable {
        /// The attempts in all.
        public var attempts: Int
        /// The time between attempts.
        public var backoff: Backoff?
        /// Which completed jobs are kept; `nil` leaves it to the worker.
        public var keepCompleted: KeepRule?
        /// Which failed jobs are kept; `nil` leaves it to the worker.
        public var keepFailed: KeepRule?

        /// Makes a policy; the defaults are Ferry's: three attempts, exponential from 2 s.
        public init(
            attempts: Int = 3, backoff: Backoff? = Backoff(.exponential, delay: .seconds(2)),
            keepCompleted: KeepRule? = nil, keepFailed: KeepRule? = nil
        ) {
            self.attempts = attempts
            self.backoff = backoff
            self.keepCompleted = keepCompleted
            self.keepFailed = keepFailed
        }
    }

    /// A job to be added.
    public struct NewJob: Sendable {
        /// The name, free.
        public var name: String
        /// The payload as JSON text.
        public var data: String
        /// The options; no policy is applied to them.
        public var options: BullJobOptions
        /// When the job counts as added; now when `nil`. A delay runs from here.
        public var timestamp: Timestamp?

        /// Makes a job to be added.
        public init(_ name: String, data: String, options: BullJobOptions = .init(), timestamp: Timestamp? = nil) {
            self.name = name
            self.data = data
            self.options = options
            self.timestamp = timestamp
        }

        /// Checks options and data; `previous` is a job that was checked.
        ///
        /// - Throws: ``BullError`` with code `.invalidName`, `.invalidOption` or `.invalidJSON`.
        func validate(after previous: NewJob? = nil) throws(BullError) {
            if previous?.options != options { try options.validate() }
            guard JSONNode.isValid(data) else {
                throw BullError(.invalidJSON, "the data of a job named \"\(name)\" is not JSON")
            }
        }

        /// Appends the arguments of an addition, 8, or 4 when the rest is as with the previous job; see `addJobs.lua`.
        func append(
            to arguments: inout [RedisArgument], now: Timestamp, after previous: NewJob? = nil, waits: Bool = false
        ) {
            arguments.append(.string(options.id ?? ""))
            arguments.append(.string(name))
            arguments.append(.string(data))
            if let previous, previous.options == options, previous.timestamp == timestamp {
                arguments.append("")
                return
            }
            arguments.append(.string(options.json))
            arguments.append(.integer((timestamp ?? now).milliseconds))
            arguments.append(.integer(options.delayMs))
            let isNext = options.isLIFO && options.priority == 0
            arguments.append(isNext ? "lifo" : .integer(Int64(options.priority)))
            arguments.append(.string(more(waits: waits)))
        }

        /// What few jobs have, as JSON text; empty for all others.
        private func more(waits: Bool) -> String {
            let isPlain = options.parent == nil && options.deduplication == nil && options.owner == nil
            guard waits || !isPlain else { return "" }
            var writer = JSONWriter(capacity: 160)
            writer.object { writer in
                if let parent = options.parent {
                    var text = JSONWriter()
                    parent.write(into: &text, queueKey: "queueKey", flag: options.onFailure)
                    writer.key("parentKey")
                    writer.value(parent.key)
                    writer.key("parent")
                    writer.value(String(buffer: text.buffer))
                }
                if let deduplication = options.deduplication {
                    writer.key("de")
                    deduplication.write(into: &writer)
                }
                if let owner = options.owner {
                    writer.key("owner")
                    writer.value(owner)
                }
                if waits {
                    writer.key("waits")
                    writer.value(true)
                }
            }
            return String(buffer: writer.buffer)
        }
    }

    /// The queue's keys.
    public let keys: BullKeys
    private let client: RedisClient
    private let policy: Policy

    /// Makes a producer.
    ///
    /// - Parameters:
    ///   - queue: The queue's name, not empty and without a colon.
    ///   - prefix: What the keys begin with.
    ///   - client: Redis; the caller closes it.
    ///   - policy: What jobs get whose options name none.
    /// - Throws: ``BullError`` with code `.invalidName`.
    public init(
        queue: String, prefix: String = "bull", client: RedisClient, policy: Policy = Policy()
    ) throws(BullError) {
        keys = try BullKeys(queue: queue, prefix: prefix)
        self.client = client
        self.policy = policy
    }

    /// Adds a job; see `JobQueue`.
    ///
    /// - Throws: ``BullError`` with code `.invalidName`, `.invalidOption`, `.invalidJSON`, or `.redis`: then the job may
    ///   have been added.
    public func add(_ name: String, data: String, options: JobOptions) async throws -> JobAddition {
        let additions = try await add([NewJob(name, data: data, options: completed(options))])
        return additions[0]
    }

    /// Queues a job once more; see `JobQueue`.
    ///
    /// - Throws: ``BullError`` as ``add(_:data:options:)``.
    public func requeue(
        _ id: String, name: String, data: String, options: JobOptions
    ) async throws -> JobRequeue {
        var options = completed(options)
        options.id = id
        options.delayMs = 0
        try options.validate()
        guard JSONNode.isValid(data) else {
            throw BullError(.invalidJSON, "the data of the job \(id) is not JSON")
        }
        let replies = try await run([
            .evaluate(
                BullScripts.requeueJob, keys: [keys.base],
                arguments: [
                    .string(id), .string(name), .string(data), .string(options.json),
                    .integer(Timestamp.now.milliseconds), .integer(Int64(options.priority)),
                    .string(options.owner ?? ""),
                ])
        ])
        guard let result = replies.first?.string.flatMap(JobRequeue.init) else {
            throw BullError(.redis, "an unexpected reply to a job that was queued once more")
        }
        return result
    }

    /// Tells how jobs stand; see `JobQueue`.
    ///
    /// - Throws: ``BullError`` with code `.redis`.
    public func find(_ ids: [String]) async throws -> [QueuedJob?] {
        guard !ids.isEmpty else { return [] }
        let replies = try await run([
            .evaluate(BullScripts.findJobs, keys: [keys.base], arguments: ids.map { .string($0) })
        ])
        guard let found = replies.first?.array, found.count == ids.count else {
            throw BullError(.redis, "an unexpected reply about jobs")
        }
        return try found.map(Self.queued)
    }

    private static func queued(_ reply: RESPValue) throws(BullError) -> QueuedJob? {
        guard let job = reply.array, job.isEmpty || job.count >= 2 else {
            throw BullError(.redis, "an unexpected reply about a job")
        }
        guard !job.isEmpty else { return nil }
        guard let state = job[0].string.flatMap(QueuedJob.State.init), let data = job[1].string else {
            throw BullError(.redis, "an unexpected reply about a job")
        }
        guard job.count == 5, let text = job[3].string, let time = job[4].string.flatMap(Double.init),
            let milliseconds = Int64(exactly: time.rounded(.down))
        else { return QueuedJob(state: state, data: data) }
        let ending = QueuedJob.Ending(
            isFailed: job[2].string == "failed", text: text, at: Timestamp(milliseconds: milliseconds))
        return QueuedJob(state: state, data: data, ending: ending)
    }

    /// Removes a job that no worker holds; see `JobQueue`.
    ///
    /// - Throws: ``BullError`` with code `.redis`; the job may then have been removed.
    public func remove(_ id: String, data: String) async throws -> Bool {
        let replies = try await run([
            .evaluate(
                BullScripts.withdrawJob, keys: [keys.base],
                arguments: [.string(id), .string(data), .integer(Timestamp.now.milliseconds)])
        ])
        return replies.first?.integer == 1
    }

    /// The options of a job with the policy where they say nothing.
    private func completed(_ options: JobOptions) -> BullJobOptions {
        BullJobOptions(
            attempts: options.attempts ?? policy.attempts,
            backoff: (options.backoff ?? policy.backoff).map(BullBackoff.init),
            delayMs: options.delay.wholeMilliseconds, priority: options.priority, id: options.id,
            removeOnComplete: (options.keepCompleted ?? policy.keepCompleted).map(BullKeepRule.init),
            removeOnFail: (options.keepFailed ?? policy.keepFailed).map(BullKeepRule.init), owner: options.owner)
    }

    /// Adds jobs in their order, so many as 200 in one step on the server.
    ///
    /// - Parameter jobs: Any number of jobs.
    /// - Returns: For each job its id and whether a job of that id was there already.
    /// - Throws: ``BullError`` with code `.invalidName`, `.invalidOption` or `.invalidJSON`: none was added; or `.redis`:
    ///   some may have been added; `.jobMissing` for a parent that is gone, or `.invalidOption` for a job that has another
    ///   parent already: the other jobs were added.
    public func add(_ jobs: [NewJob]) async throws(BullError) -> [JobAddition] {
        for (index, job) in jobs.enumerated() { try job.validate(after: index > 0 ? jobs[index - 1] : nil) }
        let now = Timestamp.now
        var commands: [RedisCommand] = []
        for start in stride(from: 0, to: jobs.count, by: 200) {
            let end = min(start + 200, jobs.count)
            var arguments: [RedisArgument] = [.integer(Int64(end - start))]
            arguments.reserveCapacity((end - start) * 4 + 5)
            for index in start..<end {
                jobs[index].append(to: &arguments, now: now, after: index > start ? jobs[index - 1] : nil)
            }
            commands.append(.evaluate(BullScripts.addJobs, keys: [keys.base], arguments: arguments))
        }
        var additions: [JobAddition] = []
        additions.reserveCapacity(jobs.count)
        var refusal: BullError?
        for reply in try await run(commands) {
            for addition in try BullProducer.additions(reply, queue: keys.queue, refusal: &refusal) {
                additions.append(addition)
            }
        }
        guard additions.count == jobs.count else {
            throw refusal ?? BullError(.redis, "an unexpected reply to an addition")
        }
        return additions
    }

    /// Reads the ids and codes of an addition; one that was refused is left out.
    static func additions(
        _ reply: RESPValue, queue: String, refusal: inout BullError?
    ) throws(BullError) -> [JobAddition] {
        let parts = reply.array ?? []
        var additions: [JobAddition] = []
        additions.reserveCapacity(parts.count)
        for part in parts {
            if case .integer(let number) = part {
                additions.append(JobAddition(id: String(number), isDuplicate: false))
                continue
            }
            guard let pair = part.array, pair.count == 2, let id = pair[0].string else {
                throw BullError(.redis, "an unexpected reply to an addition")
            }
            switch pair[1].integer {
            case 1: additions.append(JobAddition(id: id, isDuplicate: false))
            case 0, 2: additions.append(JobAddition(id: id, isDuplicate: true))
            case -5:
                refusal =
                    refusal ?? BullError(.jobMissing, "a job for the queue \"\(queue)\" names a parent that is gone")
            case -7:
                refusal =
                    refusal ?? BullError(.invalidOption, "the job \(id) exists and is the child of another parent")
            default: throw BullError(.redis, "an unexpected reply to an addition")
            }
        }
        return additions
    }

    private func run(_ commands: [RedisCommand]) async throws(BullError) -> [RESPValue] {
        do {
            if commands.count == 1 { return [try await client.send(commands[0])] }
            let replies = try await client.pipeline(commands)
            for case .error(let message) in replies { throw RedisError(.server, message) }
            return replies
        } catch {
            throw BullError(.redis, "a change of the queue \"\(keys.queue)\" failed", cause: error)
        }
    }
}
