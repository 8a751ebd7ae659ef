public import FunctionKit
public import Logging
internal import NIOCore
public import RedisClient

/// Hands a queue's events to a handler, as one of a consumer group: each event goes to one of the group's readers, at
/// least once.
///
/// The stream is trimmed and a group skips silently over what is gone. So each read is one step on the server that first
/// compares the group's last delivered id with the stream's first entry. When entries between them are gone, or the
/// group itself, the terminal events are replayed from the sets of finished jobs; progress is not made up for.
public final class BullEventReader: Sendable {
    /// Handles one event. When it throws, the event is delivered again later.
    public typealias Handler = @Sendable (QueueEvent) async throws -> Void

    /// Where a group begins that does not exist yet.
    public enum Start: String, Sendable {
        /// With what is there already.
        case beginning = "0"
        /// With what comes from now on.
        case end = "$"
    }

    /// How a reader reads.
    public struct Options: Sendable {
        /// Where a group begins that does not exist yet.
        public var start: Start = .beginning
        /// So many entries are read at a time.
        public var batchCount: Int = 16
        /// The time after which an event whose handler has not returned is given to another reader, or again to this
        /// one. Longer than a handler may take.
        public var redeliverAfter: Duration = .seconds(60)
        /// So often an event is delivered, then it is given up and logged.
        public var maxDeliveries: Int = 5
        /// The longest wait of an idle reader before it looks again unasked.
        public var idleDelay: Duration = .seconds(5)
        /// The name under which events are given to this reader, for whoever is to release them when it is gone; random
        /// when `nil`. 1 to 64 letters, digits, `-` or `_`, of no other reader of the group.
        public var id: String?

        /// Makes the defaults.
        public init() {}

        func validate() throws(BullError) {
            var problems: [String] = []
            if !(1...1000).contains(batchCount) { problems.append("batchCount must be 1 to 1000") }
            if redeliverAfter < .milliseconds(50) { problems.append("redeliverAfter must be at least 50 ms") }
            if maxDeliveries < 1 { problems.append("maxDeliveries must be at least 1") }
            if idleDelay < .milliseconds(10) { problems.append("idleDelay must be at least 10 ms") }
            if let id, !BullWorkerOptions.isValid(id: id) {
                problems.append("id must be 1 to 64 letters, digits, - or _")
            }
            if !problems.isEmpty { throw BullError(.invalidOption, problems.joined(separator: "; ")) }
        }
    }

    let keys: BullKeys
    let group: String
    let consumer: String
    let kinds: [QueueEvent.Kind]
    let options: Options
    let client: RedisClient
    let logger: Logger
    let handler: Handler

    /// Makes a reader, which does nothing before ``run()``.
    ///
    /// - Parameters:
    ///   - queue: The queue's name, not empty and without a colon.
    ///   - prefix: What the keys begin with.
    ///   - group: The group's name, the same in every process that shares the events.
    ///   - kinds: The events that the handler gets; at least one.
    ///   - options: How it reads.
    ///   - client: Redis; the caller closes it, after the reader has ended.
    ///   - logger: Gets failures of the handler.
    ///   - handler: Handles one event at a time.
    /// - Throws: ``BullError`` with code `.invalidName` or `.invalidOption`.
    public init(
        queue: String, prefix: String = "bull", group: String, kinds: Set<QueueEvent.Kind>, options: Options = .init(),
        client: RedisClient, logger: Logger, handler: @escaping Handler
    ) throws(BullError) {
        guard !group.isEmpty else { throw BullError(.invalidName, "a group's name must not be empty") }
        guard !kinds.isEmpty else { throw BullError(.invalidOption, "a reader needs at least one kind of event") }
        try options.validate()
        keys = try BullKeys(queue: queue, prefix: prefix)
        self.group = group
        self.kinds = QueueEvent.Kind.allCases.filter(kinds.contains)
        self.options = options
        self.client = client
        self.handler = handler
        consumer = options.id ?? String(UInt64.random(in: .min ... .max), radix: 16)
        var logger = logger
        logger[metadataKey: "queue"] = "\(keys.queue)"
        logger[metadataKey: "group"] = "\(group)"
        self.logger = logger
    }

    /// Reads until its task is cancelled; then the event being handled is the last one. Redis may come and go meanwhile.
    ///
    /// - Throws: ``BullError`` `.redis` when the client was closed.
    public func run() async throws(BullError) {
        let connection = client.blockingConnection(name: "\(keys.base)events")
        let failure = await read(connection)
        // What is left to do must outlive the cancellation; both calls have deadlines.
        await Task {
            await connection.close()
            await leaveGroup()
        }.value
        if let failure { throw failure }
    }

    private func read(_ connection: RedisBlockingConnection) async -> BullError? {
        var failures = 0
        var hasGroup = false
        var claimAt = ContinuousClock.now
        while !Task.isCancelled {
            do {
                if !hasGroup {
                    try await createGroup(at: options.start.rawValue)
                    hasGroup = true
                }
                if ContinuousClock.now >= claimAt {
                    claimAt = .now + options.redeliverAfter / 2
                    try await claim()
                }
                try await readOnce(connection)
                failures = 0
            } catch {
                if Task.isCancelled || error.code == .cancelled { return nil }
                if error.code == .closed { return BullError(.redis, "the client was closed", cause: error) }
                failures = min(failures + 1, 6)
                do {
                    if error.serverCode == "NOGROUP" {
                        logger.warning("the group is gone; terminal events are replayed")
                        try await replay(after: nil, before: nil)
                        failures = 0
                    } else {
                        logger.warning("events could not be read", metadata: ["error": "\(error)"])
                        try await Task.sleep(for: .milliseconds(50 << failures))
                    }
                } catch let error as RedisError {
                    logger.warning("events could not be replayed", metadata: ["error": "\(error)"])
                    if error.code == .closed { return BullError(.redis, "the client was closed", cause: error) }
                    await pause(.milliseconds(50 << failures))
                } catch {
                    return nil  // cancelled
                }
            }
        }
        return nil
    }

    private func readOnce(_ connection: RedisBlockingConnection) async throws(RedisError) {
        var arguments: [RedisArgument] = [
            .string(group), .string(consumer), .integer(Int64(options.batchCount)),
        ]
        arguments += kinds.map { .string($0.rawValue) }
        let reply = try await client.send(
            .evaluate(BullScripts.readEvents, keys: [keys.events], arguments: arguments))
        guard let parts = reply.array, parts.count >= 2, let last = parts[0].string else {
            throw RedisError(.server, "an unexpected reply to a read")
        }
        if parts.count == 2 {
            logger.warning("events were trimmed before they were read; terminal events are replayed")
            try await replay(after: last, before: parts[1].string)
        } else if parts[1].integer == 0 {
            // Only a sign: the entries themselves are read in the step that looks for a gap.
            let wait = options.idleDelay
            _ = try await connection.send(
                RedisCommand([
                    "XREAD", "COUNT", "1", "BLOCK", String(wait.wholeMilliseconds), "STREAMS", keys.events, last,
                ]), deadline: wait + .seconds(1))
        } else {
            try await handle((parts[2].array ?? []).compactMap(EventEntry.init))
        }
    }

    /// Takes over what other readers, or this one, got and did not acknowledge in time.
    ///
    /// One at a time: a delivery counts for each event that was taken over, and of those that a reader held whose process
    /// an event has ended, only this one is to count.
    private func claim() async throws(RedisError) {
        while !Task.isCancelled, try await claimOne() {}
    }

    /// Returns whether there may be more.
    private func claimOne() async throws(RedisError) -> Bool {
        let idle = options.redeliverAfter.wholeMilliseconds
        let reply = try await client.send(
            .evaluate(
                BullScripts.claimEvents, keys: [keys.events],
                arguments: [
                    .string(group), .string(consumer), .integer(idle), "1",
                    .integer(Int64(options.maxDeliveries)), .integer(max(3_600_000, idle * 10)),
                ]))
        guard let parts = reply.array, parts.count == 3 else { return false }
        for id in parts[1].array ?? [] {
            logger.error(
                "an event was given up",
                metadata: ["entry": "\(id.string ?? "?")", "times": "\(options.maxDeliveries)"])
        }
        try await handle((parts[0].array ?? []).compactMap(EventEntry.init))
        if let lost = (parts[2].array ?? []).compactMap(\.string).first {
            logger.warning("pending events were trimmed; terminal events are replayed")
            try await replayFinished(after: lost, before: nil)
            // What was replayed were all that followed, so no more of these are looked for now.
            return false
        }
        return parts[0...1].contains { $0.array?.isEmpty == false }
    }

    private func handle(_ entries: [EventEntry]) async throws(RedisError) {
        var touched = ContinuousClock.now
        for (index, entry) in entries.enumerated() {
            if Task.isCancelled { return await release(entries[index...]) }
            if ContinuousClock.now - touched > options.redeliverAfter / 3 {
                touched = .now
                try await keep(entries[index...])
            }
            // What was taken over may also be of a kind that nobody here wants; it is acknowledged at once.
            if let event = entry.event(queue: keys.queue), kinds.contains(event.kind) {
                do {
                    try await handler(event)
                } catch {
                    logger.warning(
                        "an event's handler failed; it is delivered again",
                        metadata: ["event": "\(event.kind)", "job": "\(event.jobID)", "error": "\(error)"])
                    continue
                }
            }
            try await acknowledge(entry.id)
        }
    }

    /// Has these, which were not begun, taken over by another reader at once.
    private func release(_ entries: ArraySlice<EventEntry>) async {
        let idle = options.redeliverAfter.wholeMilliseconds
        let command = RedisCommand(
            ["XCLAIM", keys.events, group, consumer, "0"] + entries.map(\.id) + ["IDLE", String(idle), "JUSTID"])
        // What was left must be told although the reader is being cancelled. Ends with the client's deadline.
        await Task {
            do {
                _ = try await client.send(command)
            } catch {
                logger.debug("events are given again in their time only", metadata: ["error": "\(error)"])
            }
        }.value
    }

    /// Tells the group that these are still being handled here.
    private func keep(_ entries: ArraySlice<EventEntry>) async throws(RedisError) {
        _ = try await client.send(
            RedisCommand(["XCLAIM", keys.events, group, consumer, "0"] + entries.map(\.id) + ["JUSTID"]))
    }

    private func acknowledge(_ id: String) async throws(RedisError) {
        let command = RedisCommand(["XACK", keys.events, group, id])
        // What was handled is acknowledged even when the reader is being cancelled. Ends with the client's deadline.
        let result = await Task { () async -> Result<RESPValue, RedisError> in
            do throws(RedisError) {
                return .success(try await client.send(command))
            } catch {
                return .failure(error)
            }
        }.value
        _ = try result.get()
    }

    /// Makes the group unless it exists.
    func createGroup(at id: String) async throws(RedisError) {
        do {
            _ = try await client.send(RedisCommand(["XGROUP", "CREATE", keys.events, group, id, "MKSTREAM"]))
        } catch  where error.serverCode == "BUSYGROUP" {
            logger.trace("the group exists")
        }
    }

    /// Removes this reader from the group unless something is pending with it, which another reader then takes over.
    private func leaveGroup() async {
        do {
            let reply = try await client.send(
                RedisCommand(["XPENDING", keys.events, group, "-", "+", "1", consumer]))
            guard reply.array?.isEmpty == true else { return }
            _ = try await client.send(RedisCommand(["XGROUP", "DELCONSUMER", keys.events, group, consumer]))
        } catch {
            logger.debug("the reader stays in the group for now", metadata: ["error": "\(error)"])
        }
    }

    func pause(_ duration: Duration) async {
        do {
            try await Task.sleep(for: duration)
        } catch {
            logger.trace("cancelled while waiting")
        }
    }
}
