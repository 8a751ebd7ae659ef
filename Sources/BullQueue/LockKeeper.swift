internal import FunctionKit
internal import Logging
internal import NIOCore
internal import RedisClient
internal import Synchronization

/// Renews the locks of a worker's jobs and checks for stalled ones.
///
/// It is an actor on an event loop that no handler runs on: code that blocks its thread or every thread of Swift's own
/// pool does not hold up a renewal.
actor LockKeeper {
    private struct Entry {
        let lease: BullLease
        var renewed: NIODeadline
    }

    private let loop: any EventLoop
    private let executor: any SerialExecutor
    private let keys: BullKeys
    private let options: BullWorkerOptions
    private let client: RedisClient
    private let logger: Logger
    private let recovery: BullRecovery
    private let onLost: @Sendable ([Int]) -> Void
    private let entries = Mutex<[Int: Entry]>([:])
    private var timers: [RepeatedTask] = []
    private var isRenewing = false
    private var isChecking = false

    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// Makes a keeper, which does nothing before ``start()``. `onLost` is called on the loop with the numbers of the
    /// runs whose lock is lost; it must not block.
    init(
        keys: BullKeys, options: BullWorkerOptions, client: RedisClient, loop: any EventLoop, logger: Logger,
        onLost: @escaping @Sendable ([Int]) -> Void
    ) {
        self.keys = keys
        self.options = options
        self.client = client
        self.loop = loop
        executor = loop.executor
        self.logger = logger
        recovery = BullRecovery(
            keys: keys, maxStalledCount: options.maxStalledCount, gate: options.stalledCheckGate, client: client)
        self.onLost = onLost
    }

    /// Renews a job's lock from now on. `renewed` is when it was set at the latest.
    nonisolated func add(_ run: Int, _ lease: BullLease, renewed: NIODeadline) {
        entries.withLock { $0[run] = Entry(lease: lease, renewed: renewed) }
    }

    /// Renews it no longer.
    nonisolated func remove(_ run: Int) {
        _ = entries.withLock { $0.removeValue(forKey: run) }
    }

    /// Starts the timers; the first check for stalled jobs is made at once.
    func start() {
        let quarter = TimeAmount.nanoseconds(options.lockDuration.wholeMilliseconds * 250_000)
        let interval = TimeAmount.milliseconds(options.stalledCheckInterval.wholeMilliseconds)
        timers = [
            loop.scheduleRepeatedTask(initialDelay: quarter, delay: quarter) { _ in
                self.assumeIsolated { $0.renewalIsDue() }
            },
            loop.scheduleRepeatedTask(initialDelay: .zero, delay: interval) { _ in
                self.assumeIsolated { $0.checkIsDue() }
            },
        ]
    }

    /// Ends the timers; a call under way ends by its own deadline.
    func stop() {
        for timer in timers { timer.cancel() }
        timers = []
    }

    private func renewalIsDue() {
        guard !isRenewing else { return }
        isRenewing = true
        // Owned by the keeper, one at a time; ends with the client's reply or deadline. It inherits the actor's loop.
        Task { await self.renew() }
    }

    private func checkIsDue() {
        guard !isChecking else { return }
        isChecking = true
        // As in `renewalIsDue`.
        Task { await self.check() }
    }

    private func renew() async {
        defer { isRenewing = false }
        let now = NIODeadline.now()
        let age = TimeAmount.nanoseconds(options.lockDuration.wholeMilliseconds * 200_000)
        let due = entries.withLock { entries in entries.filter { now - $0.value.renewed >= age } }
        guard !due.isEmpty else { return }
        var arguments: [RedisArgument] = [.integer(options.lockDuration.wholeMilliseconds)]
        arguments.reserveCapacity(1 + due.count * 3)
        for entry in due.values {
            let lease = entry.lease
            arguments += [.string(lease.id), .string(lease.token), .integer(Int64(lease.starts))]
        }
        do {
            let reply = try await client.send(
                .evaluate(BullScripts.extendLocks, keys: [keys.base], arguments: arguments),
                // A reply that is lost leaves time for two more renewals.
                timeout: options.lockDuration / 4)
            let lostIDs = Set((reply.array ?? []).compactMap(\.string))
            let lost = due.filter { lostIDs.contains($0.value.lease.id) }.keys
            entries.withLock { entries in
                for run in due.keys { entries[run]?.renewed = now }
                for run in lost { entries.removeValue(forKey: run) }
            }
            if !lost.isEmpty { onLost(Array(lost)) }
        } catch {
            logger.warning("locks could not be renewed", metadata: ["error": "\(error)", "jobs": "\(due.count)"])
        }
    }

    private func check() async {
        defer { isChecking = false }
        do {
            for id in try await recovery.giveBackStalled() {
                logger.warning("stalled job given back", metadata: ["job": "\(id)"])
            }
        } catch {
            logger.debug("no check for stalled jobs", metadata: ["error": "\(error)"])
        }
    }
}
