/// How a worker works. The defaults are Ferry's own; BullMQ's clients have 30 s for the lock, the check and the gate.
public struct BullWorkerOptions: Sendable {
    /// A limit of starts in a fixed window, for all workers of the queue that set one.
    public struct RateLimit: Sendable, Hashable {
        /// Starts in a window.
        public var max: Int
        /// The window.
        public var window: Duration

        /// Makes a limit.
        public init(max: Int, window: Duration) {
            self.max = max
            self.window = window
        }
    }

    /// So many jobs run at a time.
    public var concurrency: Int = 1
    /// The time after which a lock lapses that is not renewed. It is renewed each quarter of it.
    public var lockDuration: Duration = .seconds(8)
    /// The time between this worker's checks for stalled jobs.
    public var stalledCheckInterval: Duration = .seconds(3)
    /// The time after a check, by whichever worker, during which none follows; less than the interval.
    public var stalledCheckGate: Duration = .milliseconds(2500)
    /// How often a job may lose its worker; once more and it fails.
    public var maxStalledCount: Int = 1
    /// How often a job may be started at all; `nil` for no bound.
    public var maxStartedAttempts: Int?
    /// The longest wait of an idle worker before it looks for work unasked.
    public var drainDelay: Duration = .seconds(5)
    /// The longest wait for a rate limit's end before the worker looks again.
    public var maximumRateLimitDelay: Duration = .seconds(30)
    /// The worker's own rate limit; one of the queue's settings comes first.
    public var rateLimit: RateLimit?
    /// How many jobs of one owner may run at once in all workers that have this bound; `nil` for any number. What other
    /// clients' workers run counts too, but they do not heed it. Jobs without an owner are not bounded.
    public var maxRunningPerOwner: Int?
    /// Which completed jobs are kept, for jobs that do not say.
    public var removeOnComplete: BullKeepRule = .keepAll
    /// Which failed jobs are kept, for jobs that do not say.
    public var removeOnFail: BullKeepRule = .keepAll
    /// How late a scheduler's job may start without costing the times that have passed since: they are caught up with. After
    /// a longer pause the next one is the first to come, as it always is with BullMQ's clients.
    public var scheduleGrace: Duration = .zero
    /// What the worker's lock tokens begin with, for whoever is to give its jobs back when it is gone; random when `nil`.
    /// 1 to 64 letters, digits, `-` or `_`, of no other worker, also none that was.
    public var id: String?
    /// Whether a job that lost its worker before is worked alone: it is taken only while this worker has no other, and no
    /// other is taken beside it. A job that ends its process then takes none down with it twice. The worker has one lane.
    public var worksStalledAlone = false
    /// The worker's name, stored with the jobs that it starts and shown by dashboards.
    public var name: String?
    /// Whether handlers are called on the worker's event loop instead of Swift's pool of threads. It saves two changes of
    /// thread a job, and is for handlers that never block: locks are renewed on that loop.
    public var handlersRunOnLoop = false
    /// The time that running jobs have left when the task that runs the worker is cancelled.
    public var shutdownGrace: Duration = .seconds(10)

    /// Makes the defaults.
    public init() {}

    /// Whether a text can be a worker's id.
    public static func isValid(id: String) -> Bool {
        (1...64).contains(id.utf8.count)
            && id.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                    UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "-"), UInt8(ascii: "_"):
                    true
                default: false
                }
            }
    }

    /// Checks all bounds.
    ///
    /// - Throws: ``BullError`` with code `.invalidOption` that names every wrong option.
    func validate() throws(BullError) {
        var problems: [String] = []
        if !(1...10_000).contains(concurrency) { problems.append("concurrency must be 1 to 10000") }
        if lockDuration < .milliseconds(100) { problems.append("lockDuration must be at least 100 ms") }
        if stalledCheckInterval < .milliseconds(50) { problems.append("stalledCheckInterval must be at least 50 ms") }
        if stalledCheckGate < .milliseconds(1) { problems.append("stalledCheckGate must be at least 1 ms") }
        if maxStalledCount < 0 { problems.append("maxStalledCount must not be negative") }
        if drainDelay < .milliseconds(10) || drainDelay > .seconds(60) {
            problems.append("drainDelay must be 10 ms to 60 s")
        }
        if let rateLimit, rateLimit.max < 1 || rateLimit.window < .milliseconds(1) {
            problems.append("rateLimit needs at least one start and 1 ms")
        }
        if let maxRunningPerOwner, maxRunningPerOwner < 1 { problems.append("maxRunningPerOwner must be at least 1") }
        if let id, !BullWorkerOptions.isValid(id: id) {
            problems.append("id must be 1 to 64 letters, digits, - or _")
        }
        if scheduleGrace < .zero { problems.append("scheduleGrace must not be negative") }
        if !problems.isEmpty { throw BullError(.invalidOption, problems.joined(separator: "; ")) }
    }
}
