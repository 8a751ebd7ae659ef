internal import BullQueue
internal import FunctionKit
public import Logging
public import NIOCore
public import RedisClient
public import ServiceLifecycle

/// Has the jobs of a queue worked by a `process` function.
public struct QueueTrigger: Service, CustomStringConvertible {
    /// The name in the logs of services, which would otherwise print every property.
    public let description: String
    private let worker: BullWorker
    private let grace: Duration

    /// Makes the trigger, or `nil` when the function is no queue's `process` function.
    ///
    /// - Parameters:
    ///   - runner: Runs the function within its limits.
    ///   - settings: Locks and checks.
    ///   - client: Redis; closed by the caller, after the trigger has ended.
    ///   - lockLoop: Renews locks; no handler may run on it.
    ///   - grace: The time that running jobs have at shutdown before they go back to the queue.
    ///   - logger: Gets what cannot be told to a job.
    ///   - workerID: What the worker calls itself in a process of the function's own.
    /// - Throws: `BullError` when the queue's name is not valid.
    public init?(
        _ runner: FunctionRunner, settings: Configuration.Queue, client: RedisClient, lockLoop: any EventLoop,
        grace: Duration, logger: Logger, workerID: String? = nil
    ) throws {
        guard case .queue(let queue, .process) = runner.function.manifest.trigger,
            case .queue(let handler) = runner.function.handler
        else { return nil }
        self.grace = grace
        description = "worker of \(runner.function.name)"
        let attempts = JobAttempts(runner: runner, logger: logger, workerID: workerID)
        worker = try BullWorker(
            queue: queue, prefix: settings.prefix, options: attempts.workerOptions(settings, grace: grace),
            client: client, lockLoop: lockLoop, logger: logger
        ) { job, control in
            let given = QueueJob(
                id: job.id, name: job.name, queue: queue, payload: job.data, attempt: job.attempt,
                maxAttempts: job.maxAttempts, addedAt: job.addedAt)
            return await attempts.run(job, control) { context in try await handler(given, context) }
        }
    }

    /// Works until shutdown; running jobs then have their grace time and go back to the queue.
    public func run() async throws {
        try await withTaskCancellationOrGracefulShutdownHandler {
            try await worker.run()
        } onCancelOrGracefulShutdown: {
            worker.shutdown(grace: grace)
        }
    }
}
