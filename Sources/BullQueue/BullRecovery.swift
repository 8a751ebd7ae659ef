internal import FunctionKit
public import RedisClient

/// Gives back what workers and readers of one queue left that are gone.
public struct BullRecovery: Sendable {
    private let keys: BullKeys
    private let maxStalledCount: Int
    private let gate: Duration
    private let client: RedisClient

    /// Makes a recovery; nothing is sent.
    ///
    /// - Parameters:
    ///   - queue: The queue's name, not empty and without a colon.
    ///   - prefix: What the keys begin with.
    ///   - maxStalledCount: How often a job may lose its worker; once more and its next start fails it.
    ///   - gate: The time after a check for stalled jobs, by whichever worker, during which none follows; at least 1 ms.
    ///   - client: Redis; the caller closes it.
    /// - Throws: ``BullError`` with code `.invalidName` or `.invalidOption`.
    public init(
        queue: String, prefix: String = "bull", maxStalledCount: Int = 1, gate: Duration = .milliseconds(2500),
        client: RedisClient
    ) throws(BullError) {
        guard maxStalledCount >= 0, gate >= .milliseconds(1) else {
            throw BullError(.invalidOption, "maxStalledCount must not be negative, gate must be at least 1 ms")
        }
        let keys = try BullKeys(queue: queue, prefix: prefix)
        self.init(keys: keys, maxStalledCount: maxStalledCount, gate: gate, client: client)
    }

    init(keys: BullKeys, maxStalledCount: Int, gate: Duration, client: RedisClient) {
        self.keys = keys
        self.maxStalledCount = maxStalledCount
        self.gate = gate
        self.client = client
    }

    /// Checks for stalled jobs, as every worker does from time to time: those that an earlier check marked, whose lock was
    /// not renewed since and has lapsed, are given back. Does nothing within the gate of another check.
    ///
    /// - Returns: The ids of the jobs that were given back.
    /// - Throws: ``BullError`` with code `.redis`.
    @discardableResult
    public func giveBackStalled() async throws(BullError) -> [String] {
        let reply = try await send(
            BullScripts.recoverStalled, keys.base,
            [.integer(Int64(maxStalledCount)), .integer(gate.wholeMilliseconds)])
        return (reply.array ?? []).map { $0.string ?? "?" }
    }

    /// Gives back all jobs of a worker that is known to be gone, at once: their locks need not lapse. Each counts as
    /// stalled, so a job that ends its process fails at the start after its last one that is allowed.
    ///
    /// - Parameter worker: The id that ``BullWorkerOptions/id`` gave the worker. A worker that lives loses its jobs.
    /// - Returns: The ids of the jobs that were given back.
    /// - Throws: ``BullError`` with code `.invalidName` or `.redis`.
    @discardableResult
    public func giveBackJobs(ofLost worker: String) async throws(BullError) -> [String] {
        try check(worker)
        let reply = try await send(
            BullScripts.recoverLost, keys.base, [.string(worker), .integer(Int64(maxStalledCount))])
        return (reply.array ?? []).map { $0.string ?? "?" }
    }

    /// Has the events that a reader was given and did not acknowledge taken over by the next reader that looks, at once.
    /// A delivery that its reader did not survive counts: an event is given up after its last one.
    ///
    /// - Parameters:
    ///   - reader: The id that ``BullEventReader/Options/id`` gave the reader, which is gone.
    ///   - group: The consumer group.
    ///   - redeliverAfter: The readers' ``BullEventReader/Options/redeliverAfter``.
    /// - Returns: How many there are.
    /// - Throws: ``BullError`` with code `.invalidName` or `.redis`.
    @discardableResult
    public func releaseEvents(
        ofLost reader: String, group: String, redeliverAfter: Duration
    ) async throws(BullError) -> Int {
        try check(reader)
        let reply = try await send(
            BullScripts.releaseEvents, keys.events,
            [.string(group), .string(reader), .integer(redeliverAfter.wholeMilliseconds)])
        return Int(reply.integer ?? 0)
    }

    private func check(_ id: String) throws(BullError) {
        guard BullWorkerOptions.isValid(id: id) else {
            throw BullError(.invalidName, "a worker's id has 1 to 64 letters, digits, - or _")
        }
    }

    private func send(
        _ script: StoreScript, _ key: String, _ arguments: [RedisArgument]
    ) async throws(BullError) -> RESPValue {
        do {
            return try await client.send(.evaluate(script, keys: [key], arguments: arguments))
        } catch {
            throw BullError(
                .redis, "what was lost of the queue \"\(keys.queue)\" could not be given back", cause: error)
        }
    }
}
