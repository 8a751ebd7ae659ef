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

    /// Makes a factory.
    ///
    /// - Parameters:
    ///   - settings: Locks and checks.
    ///   - client: Redis; closed by the caller, after every trigger has ended.
    ///   - lockLoop: Renews locks; no handler may run on it.
    ///   - grace: The time that running jobs have at shutdown before they go back to their queue.
    ///   - logger: Gets what cannot be told to a job.
    public init(
        settings: Configuration.Queue, client: RedisClient, lockLoop: any EventLoop, grace: Duration, logger: Logger
    ) {
        self.settings = settings
        self.client = client
        self.lockLoop = lockLoop
        self.grace = grace
        self.logger = logger
    }

    /// The trigger of a function, to be run as a service; `nil` for one that requests call.
    ///
    /// - Throws: `BullError` when the queue's name or prefix is not valid.
    public func make(_ runner: FunctionRunner) throws -> (any Service)? {
        if let trigger = try QueueTrigger(
            runner, settings: settings, client: client, lockLoop: lockLoop, grace: grace, logger: logger)
        {
            return trigger
        }
        if let trigger = try ScheduleTrigger(
            runner, settings: settings, client: client, lockLoop: lockLoop, grace: grace, logger: logger)
        {
            return trigger
        }
        return try EventTrigger(
            runner, settings: settings, client: client, timer: lockLoop, grace: grace, logger: logger)
    }
}
