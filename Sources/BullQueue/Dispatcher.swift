internal import FunctionKit
internal import NIOCore
internal import RedisClient
internal import Synchronization

/// The task of a worker that talks to the queue, for all or for half of its places.
struct Dispatcher {
    /// At most so many jobs are finished, and at most so many fetched, in one step on the server.
    static let batch = 50

    let worker: BullWorker
    let lane: Int
    /// How many of the worker's places are this lane's.
    let capacity: Int
    let keeper: LockKeeper
    let connection: RedisBlockingConnection
    /// Decided and not yet known to be done.
    var pending: [Settlement] = []
    /// Whether there may be jobs to take.
    var needsFetch = true
    /// No fetch before then, because of a rate limit.
    var limitedUntil = NIODeadline.uptimeNanoseconds(0)
    /// When the next delayed job is due.
    var dueAt: NIODeadline?
    /// Whether no job may be taken before every job of the worker has ended, since one is to be worked alone.
    var needsQuiet = false
    /// How many jobs the worker holds.
    private(set) var heldCount = 0
    var tokenNumber = 1
    /// Whether the reply to a fetch was lost, so that jobs may be locked under the current token.
    var isFetchUncertain = false
    var failureCount = 0
    /// No round before then, because of a failure.
    var retryAt = NIODeadline.uptimeNanoseconds(0)
    private var isConnectionClosed = false
    /// When the worker was seen to be stopping.
    private var stoppingSince: NIODeadline?
    /// The time for which a stopping worker without jobs tries to learn what a lost reply told.
    private static let uncertainLimit = TimeAmount.seconds(3)

    init(worker: BullWorker, lane: Int, keeper: LockKeeper, connection: RedisBlockingConnection) {
        self.worker = worker
        self.lane = lane
        let laneCount = worker.dispatcherWakeUps.count
        capacity = (worker.options.concurrency + lane) / laneCount
        self.keeper = keeper
        self.connection = connection
    }

    var token: String { "\(worker.id):\(tokenNumber * worker.dispatcherWakeUps.count + lane)" }

    /// What a look at the worker's state tells.
    private struct View {
        var phase: BullWorker.Phase
        /// This lane's running jobs.
        var running: Int
        /// Places in use in all lanes: by running jobs, and by handlers whose job is over.
        var taken: Int
    }

    /// Works until the worker has stopped and nothing is left to be told.
    ///
    /// - Returns: The failure when the client was closed underneath.
    mutating func run() async -> BullError? {
        while true {
            let now = NIODeadline.now()
            let view = look(now)
            if case .ended = view.phase { return nil }
            if view.phase.isStopping {
                stoppingSince = stoppingSince ?? now
                if lane == 0 { await closeConnection() }
                if await isDone(view, now) { return nil }
            }
            if let due = dueAt, due <= now {
                dueAt = nil
                needsFetch = true
            }
            let free = min(capacity - view.running, worker.options.concurrency - view.taken)
            heldCount = view.running
            if needsQuiet, heldCount == 0 {
                needsQuiet = false
                needsFetch = true
            }
            let mayFetch = !view.phase.isStopping && free > 0 && now >= limitedUntil && !needsQuiet
            let fetches = mayFetch && (needsFetch || !pending.isEmpty)
            guard now >= retryAt, fetches || !pending.isEmpty || isFetchUncertain else {
                listenIfIdle(mayFetch && !needsFetch && now >= retryAt)
                await worker.dispatcherWakeUps[lane].wait(until: nextDeadline(view, now, free), timers: worker.timers)
                continue
            }
            if let failure = await round(fetches ? min(free, Dispatcher.batch) : 0, now) { return failure }
        }
    }

    /// Takes what was decided meanwhile and moves the worker's phase on.
    private mutating func look(_ now: NIODeadline) -> View {
        var cancelled: [Task<Void, Never>] = []
        let (view, own) = worker.state.withLock { state in
            if case .draining(let until) = state.phase, until <= now {
                state.phase = .handingBack(until: now + .seconds(2))
                cancelled = state.runs.values.map(\.task)
            }
            if case .handingBack(let until) = state.phase, until <= now {
                for (number, run) in state.runs where !run.hold.isLost {
                    run.hold.lose()
                    state.lanes[worker.lane(of: number)].settlements.append(
                        Settlement(run.lease, run: number, operation: .handBack()))
                }
                state.runs = [:]
                for lane in state.lanes.indices { state.lanes[lane].runningCount = 0 }
            }
            let own = state.lanes[lane]
            state.lanes[lane] = BullWorker.Lane(runningCount: own.runningCount)
            let taken = state.runs.count + state.occupied
            return (View(phase: state.phase, running: own.runningCount, taken: taken), own)
        }
        for task in cancelled { task.cancel() }
        for settlement in own.settlements {
            if settlement.operation == .none {
                keeper.remove(settlement.run)
            } else {
                pending.append(settlement)
            }
        }
        if own.isCalled { needsFetch = true }
        if let due = own.due { remember(due: due) }
        return view
    }

    /// Whether the worker may end: nothing runs and nothing is left to be told, or Redis stays away.
    private mutating func isDone(_ view: View, _ now: NIODeadline) async -> Bool {
        guard view.running == 0 else { return false }
        if pending.isEmpty {
            // What such a fetch may have taken comes back by its lock.
            if !isFetchUncertain || now > (stoppingSince ?? now) + Dispatcher.uncertainLimit { return true }
        }
        if case .handingBack(let until) = view.phase, now > until + .seconds(5) {
            worker.logger.error(
                "ended without telling the queue; the jobs come back when their locks have lapsed",
                metadata: ["jobs": "\(pending.map(\.lease.id))"])
            return true
        }
        return false
    }

    /// Ends the wait for markers; a marker that the server gave to the closed connection is replaced.
    private mutating func closeConnection() async {
        guard !isConnectionClosed else { return }
        isConnectionClosed = true
        let wasBlocked = worker.state.withLock { $0.listening.isBlocked }
        await connection.close()
        guard wasBlocked else { return }
        do {
            _ = try await worker.client.send(RedisCommand(["ZADD", worker.keys.marker, "0", "0"]))
        } catch {
            worker.logger.debug("a marker was not put back", metadata: ["error": "\(error)"])
        }
    }

    private func listenIfIdle(_ isIdle: Bool) {
        guard isIdle else { return }
        let isNew = worker.state.withLock { state in
            state.lanes[lane].isIdle = true
            defer { state.listening.isWanted = true }
            return !state.listening.isWanted && !state.listening.isBlocked
        }
        if isNew { worker.listenerWakeUp.notify() }
    }

    private func nextDeadline(_ view: View, _ now: NIODeadline, _ free: Int) -> NIODeadline? {
        var deadlines: [NIODeadline] = []
        switch view.phase {
        case .draining(let until): deadlines.append(until)
        case .handingBack(let until): deadlines.append(until > now ? until : until + .milliseconds(5001))
        default: break
        }
        // Also when nothing is pending: until then no marker is waited for.
        if retryAt > now { deadlines.append(retryAt) }
        if limitedUntil > now, free > 0, !view.phase.isStopping { deadlines.append(limitedUntil) }
        if let dueAt, free > 0, !view.phase.isStopping { deadlines.append(dueAt) }
        return deadlines.min()
    }

    /// Remembers when a delayed job is due, in ms since 1970.
    mutating func remember(due: Int64) {
        let wait = min(max(due - Timestamp.now.milliseconds, 0), 3_600_000)
        let deadline = NIODeadline.now() + .milliseconds(wait)
        dueAt = dueAt.map { min($0, deadline) } ?? deadline
    }
}
