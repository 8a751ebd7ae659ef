internal import FunctionKit
internal import RedisClient
internal import Synchronization

/// What a handler may do with the job that it works.
public struct BullJobControl: Sendable {
    let job: BullJob
    private let worker: BullWorker
    let hold: BullHold

    /// Whether the job's lock is lost: another worker has it or will have it, and this attempt's outcome is dropped.
    /// The handler's task is cancelled then.
    public var isLockLost: Bool { hold.isLost }

    private var keys: BullKeys { worker.keys }

    init(job: BullJob, worker: BullWorker, hold: BullHold) {
        self.job = job
        self.worker = worker
        self.hold = hold
    }

    /// Keeps the job's place from being used for another job when the attempt is over: what works it goes on, for
    /// example since it heeds no cancellation. Each call needs one of ``givePlaceBack()``.
    public func takePlace() { worker.occupy(1) }

    /// Puts the place into use again.
    public func givePlaceBack() { worker.occupy(-1) }

    /// Stores progress with the job and tells the queue's listeners.
    ///
    /// - Parameter json: Any JSON text.
    /// - Throws: ``BullError`` with code `.invalidJSON`, `.lockLost`, `.jobMissing` or `.redis`.
    public func updateProgress(_ json: String) async throws(BullError) {
        guard JSONNode.isValid(json) else { throw BullError(.invalidJSON, "progress must be JSON text") }
        try checkHold()
        let reply = try await send(
            .evaluate(BullScripts.updateProgress, keys: [keys.base], arguments: [.string(job.id), .string(json)]))
        if reply.integer == -1 { throw BullError(.jobMissing, "job \(job.id) is gone") }
    }

    /// Lets the job wait for its children, for example for those that this attempt has added.
    ///
    /// - Parameter child: The full key of the one child to wait for; all when `nil`.
    /// - Returns: `true` when the job waits now: it is no longer this worker's, and the handler must return
    ///   ``BullOutcome/moved``. It is run again, from the start, when its children have ended. `false` when no child is
    ///   pending: the handler goes on.
    /// - Throws: ``BullError`` with code `.childFailed` when the job is to fail for good since a child did, `.lockLost`,
    ///   `.jobMissing` or `.redis`.
    public func waitForChildren(_ child: String? = nil) async throws(BullError) -> Bool {
        try checkHold()
        let reply = try await send(
            .evaluate(
                BullScripts.waitForChildren, keys: [keys.base],
                arguments: [
                    .integer(Timestamp.now.milliseconds), .string(job.id), .string(job.token), .string(child ?? ""),
                ]))
        switch reply.integer {
        case 0: return true
        case 1: return false
        case -1: throw BullError(.jobMissing, "job \(job.id) is gone")
        case -9: throw BullError(.childFailed, "children of job \(job.id) have failed")
        default: throw BullError(.lockLost, "job \(job.id) is no longer this worker's")
        }
    }

    /// The results of the job's children that have completed: the full key of each and its return value as JSON text.
    ///
    /// - Throws: ``BullError`` with code `.redis`.
    public func childResults() async throws(BullError) -> [String: String] {
        try await pairs(of: "processed")
    }

    /// The reasons of those children whose failure the job was to ignore, by their full keys.
    ///
    /// - Throws: ``BullError`` with code `.redis`.
    public func ignoredFailures() async throws(BullError) -> [String: String] {
        try await pairs(of: "failed")
    }

    private func pairs(of subKey: String) async throws(BullError) -> [String: String] {
        let flat = try await send(RedisCommand(["HGETALL", "\(keys.job(job.id)):\(subKey)"])).array ?? []
        var pairs: [String: String] = [:]
        for index in stride(from: 0, to: flat.count - 1, by: 2) {
            if let key = flat[index].string { pairs[key] = flat[index + 1].string }
        }
        return pairs
    }

    private func checkHold() throws(BullError) {
        guard !hold.isLost else { throw BullError(.lockLost, "job \(job.id) is no longer this worker's") }
    }

    private func send(_ command: RedisCommand) async throws(BullError) -> RESPValue {
        do {
            return try await worker.client.send(command)
        } catch {
            throw BullError(.redis, "job \(job.id) could not be reached in its queue", cause: error)
        }
    }
}

/// Whether a started job is still its worker's.
final class BullHold: Sendable {
    private let lost = Atomic(false)

    var isLost: Bool { lost.load(ordering: .acquiring) }

    func lose() { lost.store(true, ordering: .releasing) }
}
