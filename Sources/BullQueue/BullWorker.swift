internal import FunctionKit
public import Logging
public import NIOCore
public import RedisClient
internal import Synchronization

/// Takes the jobs of one queue and has them worked, so many at a time as its options allow.
///
/// One task, a dispatcher, talks to the queue: in each round it sends everything that has been decided since the last
/// one (jobs finished, retried, delayed, handed back) together with a request for as many jobs as there are free places,
/// in one write. While the round is under way further jobs end, so under load a round settles many of them in one step.
/// A worker with many places has two dispatchers, lanes, with half of the places each: the server works on the round of
/// one while this process reads, runs and writes the jobs of the other.
/// An idle worker waits for the queue's wake-up markers on a connection of its own. Locks are renewed on an event loop
/// that no handler runs on.
public final class BullWorker: Sendable {
    /// Works one attempt. Its task is cancelled when the lock is lost and when a shutdown's grace has passed.
    public typealias Handler = @Sendable (BullJob, BullJobControl) async -> BullOutcome

    /// A started job.
    struct Run {
        let lease: BullLease
        let hold: BullHold
        let task: Task<Void, Never>
    }

    /// What a dispatcher shares with the runs that it started.
    struct Lane {
        /// Decided and not yet taken by the dispatcher.
        var settlements: [Settlement] = []
        /// How many of its jobs run.
        var runningCount = 0
        /// Whether there may be jobs to take.
        var isCalled = false
        /// The due time of a delayed job, in ms since 1970.
        var due: Int64?
        /// Whether it waits and knows of no job.
        var isIdle = false
    }

    enum Phase: Sendable, Hashable {
        case idle
        case working
        /// No job is fetched any more; running ones may end until then.
        case draining(until: NIODeadline)
        /// The running ones are cancelled and have until then to end.
        case handingBack(until: NIODeadline)
        case ended

        var isStopping: Bool {
            switch self {
            case .idle, .working: false
            case .draining, .handingBack, .ended: true
            }
        }
    }

    struct State {
        var phase = Phase.idle
        var runs: [Int: Run] = [:]
        var nextRun = 0
        /// Places that are in use although their job is over.
        var occupied = 0
        var lanes: [Lane]
        var listening = ListenerState()
    }

    let keys: BullKeys
    let options: BullWorkerOptions
    let client: RedisClient
    let handler: Handler
    let logger: Logger
    let timers: any EventLoop
    private let executor: LoopExecutor
    private let optionsCache = Mutex(BullJob.OptionsCache())
    let id: String
    let state: Mutex<State>
    /// One for each lane.
    let dispatcherWakeUps: [WakeUp]
    let listenerWakeUp = WakeUp()

    /// Makes a worker, which does nothing before ``run()``.
    ///
    /// - Parameters:
    ///   - queue: The queue's name, not empty and without a colon.
    ///   - prefix: What the keys begin with.
    ///   - options: How it works.
    ///   - client: Redis; the caller closes it, after the worker has ended.
    ///   - lockLoop: Talks with the queue, renews locks and keeps the worker's timers; best one of the client's loops. What
    ///     blocks must not run on it.
    ///   - logger: Gets what cannot be told to a job.
    ///   - handler: Works one attempt.
    /// - Throws: ``BullError`` with code `.invalidName` or `.invalidOption`.
    public init(
        queue: String, prefix: String = "bull", options: BullWorkerOptions = .init(), client: RedisClient,
        lockLoop: any EventLoop, logger: Logger, handler: @escaping Handler
    ) throws(BullError) {
        try options.validate()
        keys = try BullKeys(queue: queue, prefix: prefix)
        self.options = options
        self.client = client
        self.handler = handler
        timers = lockLoop
        executor = LoopExecutor(lockLoop)
        let hasTwoLanes = options.concurrency >= BullWorker.leastForTwoLanes && !options.worksStalledAlone
        let laneCount = hasTwoLanes ? 2 : 1
        state = Mutex(State(lanes: Array(repeating: Lane(), count: laneCount)))
        dispatcherWakeUps = (0..<laneCount).map { _ in WakeUp() }
        id = options.id ?? BullWorker.randomID()
        var logger = logger
        logger[metadataKey: "queue"] = "\(keys.queue)"
        logger[metadataKey: "worker"] = "\(options.name ?? id)"
        self.logger = logger
    }

    private static let leastForTwoLanes = 8

    private static func randomID() -> String {
        var generator = SystemRandomNumberGenerator()
        return String(generator.next() as UInt64, radix: 16) + String(generator.next() as UInt64, radix: 16)
    }

    /// How many jobs are being worked.
    public var runningCount: Int { state.withLock { $0.runs.count } }

    /// Works until ``shutdown(grace:)`` or until its task is cancelled, which is a shutdown with the options' grace.
    ///
    /// It returns when every job has ended or was handed back. A handler that ignores its cancellation may then still
    /// run; its outcome is dropped. Redis may come and go meanwhile: the worker tries again for ever.
    ///
    /// - Throws: ``BullError``: `.invalidOption` when the worker was run before; `.redis` when the client was closed.
    public func run() async throws(BullError) {
        let isFirst = state.withLock { state in
            guard case .idle = state.phase else { return false }
            state.phase = .working
            return true
        }
        guard isFirst else { throw BullError(.invalidOption, "a worker runs once") }
        let failure = await withTaskCancellationHandler {
            // Owned by this call, which waits for its end: what is left to tell Redis must outlive the cancellation.
            await Task(executorPreference: self.executor) { await self.work() }.value
        } onCancel: {
            shutdown(grace: options.shutdownGrace)
        }
        if let failure { throw failure }
    }

    /// Ends ``run()``: no further job is fetched, the running ones may end within the grace time, are then cancelled,
    /// and are handed back to the queue when they do not complete at once. A second call may shorten the time.
    ///
    /// - Parameter grace: The time that running jobs have left; zero hands them back at once.
    public func shutdown(grace: Duration) {
        let until = NIODeadline.now() + .milliseconds(max(0, grace.wholeMilliseconds))
        state.withLock { state in
            switch state.phase {
            case .working: state.phase = .draining(until: until)
            case .draining(let earlier): state.phase = .draining(until: min(earlier, until))
            case .idle: state.phase = .ended
            case .handingBack, .ended: break
            }
        }
        wakeDispatchers()
    }

    /// Takes a place out of use, or puts it into use again.
    func occupy(_ change: Int) {
        state.withLock { $0.occupied += change }
        if change < 0 { wakeDispatchers() }
    }

    func wakeDispatchers() {
        for wakeUp in dispatcherWakeUps { wakeUp.notify() }
    }

    private func work() async -> BullError? {
        let keeper = LockKeeper(keys: keys, options: options, client: client, loop: timers, logger: logger) {
            [self] runs in lose(runs)
        }
        await keeper.start()
        let connection = client.blockingConnection(name: connectionName)
        let failure = await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.listen(connection) }
            let failure = await dispatch(keeper, connection)
            let left = state.withLock { state in
                state.phase = .ended
                return state.runs.keys.sorted()
            }
            // None is left, unless the client was closed underneath.
            lose(left)
            listenerWakeUp.notify()
            await connection.close()
            return failure
        }
        await keeper.stop()
        return failure
    }

    /// Works until every lane has stopped. Returns a failure when the client was closed underneath.
    private func dispatch(_ keeper: LockKeeper, _ connection: RedisBlockingConnection) async -> BullError? {
        await withTaskGroup(of: BullError?.self) { group in
            for lane in dispatcherWakeUps.indices {
                group.addTask {
                    var dispatcher = Dispatcher(worker: self, lane: lane, keeper: keeper, connection: connection)
                    return await dispatcher.run()
                }
            }
            return await group.reduce(nil) { $0 ?? $1 }
        }
    }

    /// The name under which dashboards find a queue's workers: `<prefix>:<base64 of the queue>[:w:<name>]`.
    private var connectionName: String {
        let prefix = keys.base.dropLast(keys.queue.utf8.count + 2)
        let name = options.name.map { ":w:" + $0.filter { $0 > " " && $0 <= "~" } } ?? ""
        return "\(prefix):\(Base64.text(keys.queue.utf8))\(name)"
    }

    /// The locks of these runs are lost: their tasks are cancelled, what comes of them is dropped.
    private func lose(_ numbers: [Int]) {
        let lost = state.withLock { state in numbers.compactMap { state.runs[$0] } }
        for run in lost {
            logger.warning("the lock of a running job is lost", metadata: ["job": "\(run.lease.id)"])
            run.hold.lose()
            run.task.cancel()
        }
    }

    /// Has a job worked, whose hash was this.
    func start(_ lease: BullLease, _ hash: [RESPValue], number: Int) {
        let hold = BullHold()
        state.withLock { state in
            state.lanes[lane(of: number)].runningCount += 1
            // Owned by the table of runs, which the worker's end waits for; ends with the handler.
            let task = Task(executorPreference: options.handlersRunOnLoop ? executor : nil) {
                let job = self.optionsCache.withLock { BullJob(lease, hash: hash, cache: &$0) }
                self.ended(number, lease, job, hold, await self.work(job, hold))
            }
            state.runs[number] = Run(lease: lease, hold: hold, task: task)
        }
    }

    /// The lane that started a run.
    func lane(of number: Int) -> Int { number % dispatcherWakeUps.count }

    private func work(_ job: BullJob, _ hold: BullHold) async -> BullOutcome {
        let refusal = refusal(of: job)
        let control = BullJobControl(job: job, worker: self, hold: hold)
        // A scheduler goes on also when one of its jobs cannot be run.
        if let scheduler = job.schedulerID { return await work(job, of: scheduler, control, refusal: refusal) }
        if let refusal { return .failed(reason: refusal, retry: .never) }
        return await handler(job, control)
    }

    /// Why a job fails without being run.
    private func refusal(of job: BullJob) -> String? {
        if let reason = job.deferredFailure ?? job.defect { return reason }
        if let limit = options.maxStartedAttempts, job.attemptsStarted > limit {
            return "job started more than allowable limit"
        }
        return nil
    }

    private func ended(
        _ number: Int, _ lease: BullLease, _ job: BullJob, _ hold: BullHold, _ outcome: BullOutcome
    ) {
        state.withLock { state in
            // A run that is gone was handed back while its handler went on.
            guard state.runs.removeValue(forKey: number) != nil else { return }
            state.lanes[lane(of: number)].runningCount -= 1
            guard !hold.isLost else { return }
            var outcome = outcome
            if case .handingBack = state.phase {
                if case .failed(_, _, let retry) = outcome, retry != .never { outcome = .handBack }
            }
            let settlement = Settlement(lease, job: job, run: number, outcome: outcome)
            state.lanes[lane(of: number)].settlements.append(settlement)
        }
        dispatcherWakeUps[lane(of: number)].notify()
    }
}
