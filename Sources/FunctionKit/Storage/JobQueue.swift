/// The queues of this host, for adding jobs.
public protocol QueueProvider: Sendable {
    /// The queue of that name; it need not exist yet.
    ///
    /// - Throws: ``HTTPError`` 500 when the name is empty or holds a colon.
    func queue(_ name: String) throws -> any JobQueue
}

/// One queue, for adding jobs.
public protocol JobQueue: Sendable {
    /// Adds a job; the queue's manifest gives attempts and back-off where the options name none.
    ///
    /// - Parameters:
    ///   - name: The job's name, free.
    ///   - data: The payload as JSON text.
    ///   - options: Id, delay, priority, attempts and what is kept.
    /// - Returns: The job's id, and whether a job of that id was there already (then nothing was added).
    /// - Throws: A ``ClassifiedError``; when no reply came in time the job may have been added.
    func add(_ name: String, data: String, options: JobOptions) async throws -> JobAddition

    /// Puts a job that has ended, or that the queue has forgotten, into the queue once more, in one step.
    ///
    /// It keeps its id and gets the new data and options; its attempts and stalls count from zero again. One that waits
    /// keeps its place, or is ready at once when a back-off delayed it; one that is unknown is added. One that a worker
    /// holds is left alone.
    ///
    /// - Parameters:
    ///   - id: The job's id.
    ///   - name: The job's name, free.
    ///   - data: The payload as JSON text.
    ///   - options: As for ``add(_:data:options:)``; `id` is not looked at.
    /// - Returns: What was done.
    /// - Throws: A ``ClassifiedError``; when no reply came in time it may have been done.
    func requeue(_ id: String, name: String, data: String, options: JobOptions) async throws -> JobRequeue

    /// How jobs stand in the queue, in one step.
    ///
    /// - Parameter ids: The jobs' ids, some hundreds at most.
    /// - Returns: For each id the job, or `nil` when the queue knows nothing of it.
    /// - Throws: A ``ClassifiedError``.
    func find(_ ids: [String]) async throws -> [QueuedJob?]

    /// Removes a job that no worker holds and that still has the given data; one that is gone already counts as removed.
    ///
    /// - Parameters:
    ///   - id: The job's id.
    ///   - data: The payload that ``find(_:)`` told, so that a job that was queued once more meanwhile stays.
    /// - Returns: `false` when a worker holds it or it has other data: then nothing was changed.
    /// - Throws: A ``ClassifiedError``; when no reply came in time it may have been removed.
    func remove(_ id: String, data: String) async throws -> Bool
}

extension JobQueue {
    /// How a job stands in the queue.
    ///
    /// - Parameter id: The job's id.
    /// - Returns: The job, or `nil` when the queue knows nothing of it.
    /// - Throws: A ``ClassifiedError``.
    public func find(_ id: String) async throws -> QueuedJob? { try await find([id]).first ?? nil }
}

/// How a job is to be queued.
public struct JobOptions: Sendable {
    /// The id; a new number when `nil`. Not an integer in decimal, and without a colon.
    public var id: String?
    /// The time until the job is ready.
    public var delay: Duration
    /// 0 for none, else 1 (first) to 2 097 151; without effect when there is an owner.
    public var priority: Int
    /// Whose job it is, up to 1024 bytes. Owners take turns, so that many jobs of one do not hold up the jobs of the
    /// others, and each has so many running at once as the configuration says. Jobs without an owner come first.
    public var owner: String?
    /// The attempts in all; the queue's policy when `nil`.
    public var attempts: Int?
    /// The back-off between attempts; the queue's policy when `nil`.
    public var backoff: Backoff?
    /// Which finished jobs are kept; `nil` keeps all.
    public var keepCompleted: KeepRule?
    /// Which failed jobs are kept; `nil` keeps all.
    public var keepFailed: KeepRule?

    /// Makes options; the defaults are a plain job at the end of the queue.
    public init(
        id: String? = nil, delay: Duration = .zero, priority: Int = 0, attempts: Int? = nil, backoff: Backoff? = nil,
        keepCompleted: KeepRule? = nil, keepFailed: KeepRule? = nil, owner: String? = nil
    ) {
        self.id = id
        self.delay = delay
        self.priority = priority
        self.attempts = attempts
        self.backoff = backoff
        self.keepCompleted = keepCompleted
        self.keepFailed = keepFailed
        self.owner = owner
    }
}

/// The time between two attempts.
public struct Backoff: Sendable, Hashable {
    /// How the time grows.
    public enum Kind: String, Sendable {
        /// Always the same.
        case fixed
        /// Twice as long each time: `delay · 2^(attempt − 1)`.
        case exponential
    }

    /// How the time grows.
    public var kind: Kind
    /// The first delay.
    public var delay: Duration
    /// The share of the delay that is random, 0 to 1: the wait is uniform in `[d · (1 − jitter), d)`.
    public var jitter: Double

    /// Makes a back-off.
    public init(_ kind: Kind, delay: Duration, jitter: Double = 0) {
        self.kind = kind
        self.delay = delay
        self.jitter = jitter
    }
}

/// Which finished jobs a queue keeps.
public struct KeepRule: Sendable, Hashable {
    /// Jobs younger than this are kept; `nil` for no bound.
    public var age: Duration?
    /// So many of the newest are kept; `nil` for no bound, 0 removes at once.
    public var count: Int?

    /// Makes a rule.
    public init(age: Duration? = nil, count: Int? = nil) {
        self.age = age
        self.count = count
    }
}

/// What became of a job that was to be queued once more.
public enum JobRequeue: String, Sendable, Hashable {
    /// The queue did not know it: it was added.
    case added
    /// It had ended: it waits again.
    case requeued
    /// It waited, with other data or after a failed attempt; it waits with the new data.
    case waiting
    /// A worker holds it; nothing was done.
    case active
}

/// A job as its queue knows it.
public struct QueuedJob: Sendable, Hashable {
    /// Where a job is in its queue.
    public enum State: String, Sendable, Hashable {
        /// It waits for a worker, for its time or for other jobs.
        case waiting
        /// A worker holds it, or has vanished with it a moment ago.
        case active
        /// It was completed or has failed.
        case ended
        /// The queue has its data, but no list in which a worker would find it: other tools left it so. Queues with very
        /// many jobs tell ``waiting`` instead.
        case stray
    }

    /// Where it is.
    public let state: State
    /// The payload as its producer gave it; empty when only the worker still has it.
    public let data: String
    /// How it ended, when it has.
    public let ending: Ending?

    /// How a job of a queue ended.
    public struct Ending: Sendable, Hashable {
        /// Whether the queue has given it up.
        public let isFailed: Bool
        /// The return value as JSON text, or the reason of the failure.
        public let text: String
        /// When it ended.
        public let at: Timestamp

        /// Makes a description.
        public init(isFailed: Bool, text: String, at time: Timestamp) {
            self.isFailed = isFailed
            self.text = text
            self.at = time
        }
    }

    /// Makes a description.
    public init(state: State, data: String, ending: Ending? = nil) {
        self.state = state
        self.data = data
        self.ending = ending
    }
}

/// What became of an addition.
public struct JobAddition: Sendable, Hashable {
    /// The job's id.
    public let id: String
    /// Whether a job of that id was there already; then nothing was added.
    public let isDuplicate: Bool

    /// Makes a result.
    public init(id: String, isDuplicate: Bool) {
        self.id = id
        self.isDuplicate = isDuplicate
    }
}
