internal import BullQueue
public import FunctionKit
public import RedisClient
internal import Synchronization

/// The queues of this host, for handlers that add jobs.
///
/// Every Ferry process reads all manifests, so each knows the retry policy of every queue, also of those whose `process`
/// function runs elsewhere.
public final class Queues: QueueProvider {
    private let client: RedisClient
    private let prefix: String
    private struct State {
        var policies: [String: BullProducer.Policy]
        var producers: [String: BullProducer] = [:]
    }

    private let state: Mutex<State>

    /// Makes the queues; nothing is sent before the first job.
    ///
    /// - Parameters:
    ///   - client: Redis; the caller closes it.
    ///   - prefix: What the queues' keys begin with.
    ///   - manifests: The manifests of all functions by name.
    public init(client: RedisClient, prefix: String, manifests: [String: FunctionManifest]) {
        self.client = client
        self.prefix = prefix
        state = Mutex(State(policies: Queues.policies(manifests)))
    }

    /// Adds jobs as other manifests say from now on.
    ///
    /// - Parameter manifests: The manifests of all functions by name.
    public func replace(manifests: [String: FunctionManifest]) {
        state.withLock { $0 = State(policies: Queues.policies(manifests)) }
    }

    private static func policies(_ manifests: [String: FunctionManifest]) -> [String: BullProducer.Policy] {
        var policies: [String: BullProducer.Policy] = [:]
        for manifest in manifests.values {
            guard case .queue(let name, .process) = manifest.trigger else { continue }
            policies[name] = BullProducer.Policy(
                attempts: manifest.retry.attempts,
                backoff: Backoff(
                    manifest.retry.isExponential ? .exponential : .fixed, delay: manifest.retry.delay,
                    jitter: manifest.retry.jitter))
        }
        return policies
    }

    /// The queue of that name; see `QueueProvider`.
    public func queue(_ name: String) throws -> any JobQueue {
        try state.withLock { state in
            if let producer = state.producers[name] { return producer }
            let producer = try BullProducer(
                queue: name, prefix: prefix, client: client, policy: state.policies[name] ?? BullProducer.Policy())
            state.producers[name] = producer
            return producer
        }
    }
}
