internal import DequeModule
internal import Glibc
public import Logging

/// The threads on which strangers' handlers run.
///
/// One queue under one mutex feeds the threads; a thread takes its next job and tells the watchdog which one it is in the
/// same critical section, so that watching costs nothing per job. Threads start when they are first needed.
///
/// The watchdog is a thread of its own. It acts on two things:
/// - A thread has been in one job since before its invocation's deadline, and the deadline and a grace have passed: the
///   thread is *lost*. That is reported once, and another thread takes its place, up to ``Options/lostLimit``; beyond
///   that ``isExhausted`` tells readiness. When the job returns after all, the thread ends, or goes back to work if it
///   was never replaced.
/// - Jobs wait and none has been taken for a whole tick, because every thread is in a handler that blocks: one more
///   thread is started, up to ``Options/spareCount``; it ends as soon as it finds nothing to do.
public final class HandlerPool: @unchecked Sendable {
    // @unchecked: every stored `var` is read and written only between `lock()` and `unlock()`.

    /// How the pool is sized and watched.
    public struct Options: Sendable {
        /// The threads that are there when none is lost or stuck.
        public var threadCount: Int
        /// The further threads while all others are stuck in handlers that block.
        public var spareCount: Int
        /// How many lost threads are replaced.
        public var lostLimit: Int
        /// How long past its deadline a job may run before its thread counts as lost.
        public var grace: Duration
        /// How often the watchdog looks while there is work.
        public var tick: Duration

        /// Makes options; `nil` threads are as many as the machine has cores, at least 4.
        public init(
            threadCount: Int? = nil, spareCount: Int = 16, lostLimit: Int = 16, grace: Duration = .seconds(5),
            tick: Duration = .milliseconds(50)
        ) {
            self.threadCount = threadCount ?? max(4, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
            self.spareCount = spareCount
            self.lostLimit = lostLimit
            self.grace = grace
            self.tick = tick
        }
    }

    /// A thread that a handler keeps past its deadline.
    public struct LostThread: Sendable {
        /// The function.
        public let function: String
        /// The request or job.
        public let requestID: String
        /// How long the thread has been in the handler without a break.
        public let runningFor: Duration
        /// How many threads are lost now, this one included.
        public let lostCount: Int
    }

    final class Worker {
        var current: PoolExecutor?
        var startedAt = ContinuousClock.now
        var isLost = false
        var wasReplaced = false
    }

    private struct Work {
        let job: UnownedJob
        let executor: PoolExecutor
    }

    private let options: Options
    private let onLost: @Sendable (LostThread) -> Void
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let workCondition: UnsafeMutablePointer<pthread_cond_t>
    private let watchCondition: UnsafeMutablePointer<pthread_cond_t>

    private var queue: Deque<Work> = []
    private var workers: [Worker] = []
    private var liveCount = 0
    private var idleCount = 0
    private var lostNow = 0
    private var takenCount: UInt64 = 0
    private var isStopping = false
    private var hasWatchdog = false
    private var watchdogSleeps = false

    /// Makes a pool; its threads start with the first job.
    ///
    /// - Parameters:
    ///   - options: How the pool is sized and watched.
    ///   - onLost: Told once of each lost thread, on the watchdog's thread; it must not block.
    public init(_ options: Options = Options(), onLost: @escaping @Sendable (LostThread) -> Void) {
        self.options = options
        self.onLost = onLost
        mutex = .allocate(capacity: 1)
        workCondition = .allocate(capacity: 1)
        watchCondition = .allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(workCondition, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(watchCondition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    /// Makes a pool that logs each lost thread as an error.
    ///
    /// - Parameters:
    ///   - options: How the pool is sized and watched.
    ///   - logger: Where to.
    public convenience init(_ options: Options = Options(), logger: Logger) {
        self.init(options) { lost in
            logger.error(
                "a handler keeps its thread past its deadline",
                metadata: [
                    "function": "\(lost.function)", "request_id": "\(lost.requestID)",
                    "running_for": "\(lost.runningFor)", "lost_threads": "\(lost.lostCount)",
                ])
        }
    }

    deinit {
        // Every thread holds the pool, so none is left.
        pthread_cond_destroy(watchCondition)
        pthread_cond_destroy(workCondition)
        pthread_mutex_destroy(mutex)
        watchCondition.deallocate()
        workCondition.deallocate()
        mutex.deallocate()
    }

    /// How many threads are in handlers past their deadline and grace.
    public var lostCount: Int { locked { lostNow } }

    /// Whether more threads are lost than are replaced: the process should not get new work.
    public var isExhausted: Bool { locked { lostNow > options.lostLimit } }

    /// Lets the threads end as soon as nothing is left to do. Jobs that come later are still run.
    public func shutDown() {
        locked {
            isStopping = true
            pthread_cond_broadcast(workCondition)
            pthread_cond_signal(watchCondition)
        }
    }

    func enqueue(_ job: UnownedJob, of executor: PoolExecutor) {
        pthread_mutex_lock(mutex)
        queue.append(Work(job: job, executor: executor))
        let wakesWorker = idleCount > 0
        if queue.count > idleCount, liveCount < options.threadCount { startWorker() }
        let wakesWatchdog = watchdogSleeps
        watchdogSleeps = false
        pthread_mutex_unlock(mutex)
        if wakesWorker { pthread_cond_signal(workCondition) }
        if wakesWatchdog { pthread_cond_signal(watchCondition) }
    }

    private func locked<Result>(_ body: () -> Result) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body()
    }

    /// Starts a thread. Called under the lock.
    private func startWorker() {
        if !hasWatchdog, !isStopping { hasWatchdog = PoolThread.start { self.watch() } }
        let worker = Worker()
        // The closure moves the worker into its thread; from then on both sides touch it under the lock only.
        nonisolated(unsafe) let moved = worker
        guard PoolThread.start({ self.work(moved) }) else { return }
        workers.append(worker)
        liveCount += 1
    }

    private func work(_ worker: Worker) {
        pthread_mutex_lock(mutex)
        while true {
            worker.current = nil
            if worker.isLost {
                worker.isLost = false
                lostNow -= 1
                if worker.wasReplaced { break }
                liveCount += 1
            }
            if let work = queue.popFirst() {
                takenCount &+= 1
                worker.current = work.executor
                worker.startedAt = .now
                pthread_mutex_unlock(mutex)
                work.job.runSynchronously(on: work.executor.asUnownedTaskExecutor())
                pthread_mutex_lock(mutex)
            } else if isStopping || liveCount > options.threadCount {
                liveCount -= 1
                break
            } else {
                idleCount += 1
                pthread_cond_wait(workCondition, mutex)
                idleCount -= 1
            }
        }
        workers.removeAll { $0 === worker }
        let isLast = workers.isEmpty && isStopping
        pthread_mutex_unlock(mutex)
        if isLast { pthread_cond_signal(watchCondition) }
    }

    private func watch() {
        var lastTaken: UInt64 = 0
        pthread_mutex_lock(mutex)
        while !(isStopping && workers.isEmpty) {
            var lost: [LostThread] = []
            let now = ContinuousClock.now
            for worker in workers where !worker.isLost {
                guard let current = worker.current,
                    now > max(current.deadline, worker.startedAt) + options.grace
                else { continue }
                worker.isLost = true
                lostNow += 1
                liveCount -= 1
                worker.wasReplaced = lostNow <= options.lostLimit
                if worker.wasReplaced { startWorker() }
                lost.append(
                    LostThread(
                        function: current.function, requestID: current.requestID,
                        runningFor: now - worker.startedAt, lostCount: lostNow))
            }
            if !queue.isEmpty, takenCount == lastTaken, idleCount == 0,
                liveCount < options.threadCount + options.spareCount
            {
                startWorker()
            }
            if !lost.isEmpty {
                pthread_mutex_unlock(mutex)
                for thread in lost { onLost(thread) }
                pthread_mutex_lock(mutex)
            }
            let isQuiet = queue.isEmpty && takenCount == lastTaken && workers.allSatisfy { $0.current == nil }
            lastTaken = takenCount
            if isQuiet {
                watchdogSleeps = true
                while watchdogSleeps, !isStopping { pthread_cond_wait(watchCondition, mutex) }
                watchdogSleeps = false
            }
            if !(isStopping && workers.isEmpty) { waitOneTick() }
        }
        hasWatchdog = false
        pthread_mutex_unlock(mutex)
    }

    /// Waits a tick, or until the pool stops. Called under the lock.
    private func waitOneTick() {
        var until = timespec()
        clock_gettime(CLOCK_MONOTONIC, &until)
        let (seconds, attoseconds) = options.tick.components
        let nanoseconds = until.tv_nsec + Int(attoseconds / 1_000_000_000)
        until.tv_sec += Int(seconds) + nanoseconds / 1_000_000_000
        until.tv_nsec = nanoseconds % 1_000_000_000
        pthread_cond_timedwait(watchCondition, mutex, &until)
    }
}
