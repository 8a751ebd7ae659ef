public import Logging
public import NIOCore
public import RedisClient
public import ServiceLifecycle

/// Makes what has functions called by queues, events and times.
public struct TriggerFactory: Sendable {
    private let settings: Configuration.Queue
    private let client: RedisClient
    private let lockLoop: any EventLoop
    private let grace: Duration
    private let logger: Logger
    private let workerID: String?

    /// Makes a factory.
    ///
    /// - Parameters:
    ///   - settings: Locks and checks.
    ///   - client: Redis; closed by the caller, after every trigger has ended.
    ///   - lockLoop: Renews locks; no handler may run on it.
    ///   - grace: The time that running jobs have at shutdown before they go back to their queue.
    ///   - logger: Gets what cannot be told to a job.
    ///   - workerID: In a process of one function's own, what its worker or reader calls itself (see
    ///     `BullWorkerOptions.id`), so that what it leaves can be given back at once. A schedule's record is then kept by
    ///     the process that starts this one.
    public init(
        settings: Configuration.Queue, client: RedisClient, lockLoop: any EventLoop, grace: Duration, logger: Logger,
        workerID: String? = nil
    ) {
        self.settings = settings
        self.client = client
        self.lockLoop = lockLoop
        self.grace = grace
        self.logger = logger
        self.workerID = workerID
    }

    /// The trigger of a function, to be run as a service; `nil` for one that requests call.
    ///
    /// - Throws: `BullError` when the queue's name or prefix is not valid.
    public func make(_ runner: FunctionRunner) throws -> (any Service)? {
        if let trigger = try QueueTrigger(
            runner, settings: settings, client: client, lockLoop: lockLoop, grace: grace, logger: logger,
            workerID: workerID)
        {
            return trigger
        }
        if let trigger = try ScheduleTrigger(
            runner, settings: settings, client: client, lockLoop: lockLoop, grace: grace, logger: logger,
            workerID: workerID)
        {
            return trigger
        }
        return try EventTrigger(
            runner, settings: settings, client: client, timer: lockLoop, grace: grace, logger: logger,
            workerID: workerID)
    }
}
