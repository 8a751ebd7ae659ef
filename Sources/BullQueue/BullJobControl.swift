internal import FunctionKit
internal import RedisClient
internal import Synchronization

/// What a handler may do with the job that it works.
public struct BullJobControl: Sendable {
    let jobID: String
    let keys: BullKeys
    let client: RedisClient
    let hold: BullHold

    /// Whether the job's lock is lost: another worker has it or will have it, and this attempt's outcome is dropped.
    /// The handler's task is cancelled then.
    public var isLockLost: Bool { hold.isLost }

    /// Stores progress with the job and tells the queue's listeners.
    ///
    /// - Parameter json: Any JSON text.
    /// - Throws: ``BullError`` with code `.invalidJSON`, `.lockLost`, `.jobMissing` or `.redis`.
    public func updateProgress(_ json: String) async throws(BullError) {
        guard JSONNode.isValid(json) else { throw BullError(.invalidJSON, "progress must be JSON text") }
        guard !hold.isLost else { throw BullError(.lockLost, "job \(jobID) is no longer this worker's") }
        let reply: RESPValue
        do {
            reply = try await client.send(
                .evaluate(BullScripts.updateProgress, keys: [keys.base], arguments: [.string(jobID), .string(json)]))
        } catch {
            throw BullError(.redis, "progress of job \(jobID) was not stored", cause: error)
        }
        if reply.integer == -1 { throw BullError(.jobMissing, "job \(jobID) is gone") }
    }
}

/// Whether a started job is still its worker's.
final class BullHold: Sendable {
    private let lost = Atomic(false)

    var isLost: Bool { lost.load(ordering: .acquiring) }

    func lose() { lost.store(true, ordering: .releasing) }
}
