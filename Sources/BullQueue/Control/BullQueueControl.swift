internal import FunctionKit
public import RedisClient

/// One queue by hand: what dashboards and operators do with it.
///
/// Every change is one step on the server, or a sequence of steps of at most 1000 jobs each, so that no queue is too
/// large for it and none is blocked for long. What is left in Redis is what the other clients leave.
public struct BullQueueControl: Sendable {
    /// The queue's keys.
    public let keys: BullKeys
    let client: RedisClient

    /// What this client writes as the version of a queue that has none.
    public static let version = "bullmq-swift:0.1.0"
    /// So many jobs are changed in a step.
    static let stepCount = 1000

    /// Makes a control.
    ///
    /// - Parameters:
    ///   - queue: The queue's name, not empty and without a colon; it need not exist.
    ///   - prefix: What the keys begin with.
    ///   - client: Redis; the caller closes it.
    /// - Throws: ``BullError`` with code `.invalidName`.
    public init(queue: String, prefix: String = "bull", client: RedisClient) throws(BullError) {
        keys = try BullKeys(queue: queue, prefix: prefix)
        self.client = client
    }

    /// The names of all queues, sorted.
    ///
    /// - Parameters:
    ///   - prefix: What the keys begin with.
    ///   - client: Redis.
    /// - Returns: The names. The server's keys are walked in small steps, so what changes meanwhile may be missed.
    /// - Throws: ``BullError`` with code `.redis`, or `.invalidName` when the prefix is empty.
    public static func queues(prefix: String = "bull", client: RedisClient) async throws(BullError) -> [String] {
        guard !prefix.isEmpty else { throw BullError(.invalidName, "a queue's prefix must not be empty") }
        let pattern = prefix.flatMap { "\\*?[]".contains($0) ? ["\\", $0] : [$0] } + ":*:meta"
        var names: Set<String> = []
        var cursor = "0"
        repeat {
            let reply = try await BullQueueControl.send(
                RedisCommand(["SCAN", cursor, "MATCH", String(pattern), "COUNT", "1000"]), client,
                "the search for queues failed")
            guard let parts = reply.array, parts.count == 2, let next = parts[0].string else {
                throw BullError(.redis, "an unexpected reply to a search for queues")
            }
            for key in parts[1].array ?? [] {
                let name = (key.string ?? "").dropFirst(prefix.count + 1).dropLast(":meta".count)
                if !name.isEmpty, !name.contains(":") { names.insert(String(name)) }
            }
            cursor = next
        } while cursor != "0"
        return names.sorted()
    }

    /// Whether the queue is there: some client has added to it, paused it or worked it.
    ///
    /// - Throws: ``BullError`` with code `.redis`.
    public func exists() async throws(BullError) -> Bool {
        try await send(RedisCommand(["EXISTS", keys.base + "meta"])).integer == 1
    }

    /// Writes this client's version to the queue when no client has; dashboards show it, nothing depends on it.
    ///
    /// - Throws: ``BullError`` with code `.redis`.
    public func announceVersion() async throws(BullError) {
        _ = try await send(RedisCommand(["HSETNX", keys.base + "meta", "version", BullQueueControl.version]))
    }

    // MARK: Talking to Redis

    func send(_ command: RedisCommand) async throws(BullError) -> RESPValue {
        try await BullQueueControl.send(command, client, "an operation on the queue \"\(keys.queue)\" failed")
    }

    private static func send(
        _ command: RedisCommand, _ client: RedisClient, _ failure: String
    ) async throws(BullError) -> RESPValue {
        do {
            return try await client.send(command)
        } catch {
            throw BullError(.redis, failure, cause: error)
        }
    }

    func run(_ script: StoreScript, _ arguments: [RedisArgument] = []) async throws(BullError) -> RESPValue {
        try await send(.evaluate(script, keys: [keys.base], arguments: arguments))
    }

    /// Sends commands in one write; the server's errors are elements.
    func pipeline(_ commands: [RedisCommand]) async throws(BullError) -> [RESPValue] {
        guard !commands.isEmpty else { return [] }
        do {
            return try await client.pipeline(commands)
        } catch {
            throw BullError(.redis, "the queue \"\(keys.queue)\" could not be read", cause: error)
        }
    }

    /// Runs a script for ids in steps and gives what became of each.
    func change(
        _ ids: [String], _ script: StoreScript, _ arguments: [RedisArgument]
    ) async throws(BullError) -> [BullJobChange] {
        var changes: [BullJobChange] = []
        for start in stride(from: 0, to: ids.count, by: BullQueueControl.stepCount) {
            let step = ids[start..<min(start + BullQueueControl.stepCount, ids.count)]
            let codes = try await run(script, arguments + step.map { .string($0) }).array ?? []
            guard codes.count == step.count else { throw BullError(.redis, "an unexpected reply to \(script.name)") }
            changes += zip(step, codes).map { BullJobChange(id: $0, result: .init(code: $1.integer)) }
        }
        return changes
    }

    static var now: RedisArgument { .integer(Timestamp.now.milliseconds) }
}
