internal import BullQueue
internal import FunctionKit
public import Logging
public import NIOCore
public import RedisClient
public import ServiceLifecycle

/// Runs a scheduled function at its times.
///
/// The times are kept by BullMQ's scheduler record in a queue of the function's own, `schedule-<function>`, which holds
/// the next tick as a job: whoever starts it plans the one after it, so that of all processes with the function one runs
/// each tick. Every such process makes sure of the record at its start and again and again, and puts back what is lost;
/// for a function in a process of its own, which comes and goes, the process that starts it does so.
public struct ScheduleTrigger: Service, CustomStringConvertible {
    /// The name in the logs of services, which would otherwise print every property.
    public let description: String
    private let worker: BullWorker
    private let keeper: ScheduleKeeper?
    private let grace: Duration

    /// Makes the trigger, or `nil` when the function is not a scheduled one.
    ///
    /// - Parameters:
    ///   - runner: Runs the function within its limits.
    ///   - settings: Locks and checks.
    ///   - client: Redis; closed by the caller, after the trigger has ended.
    ///   - lockLoop: Renews locks; no handler may run on it.
    ///   - grace: The time that running ticks have at shutdown before they go back to the queue.
    ///   - logger: Gets what cannot be told to a tick, and what was put back.
    ///   - workerID: What the worker calls itself in a process of the function's own.
    /// - Throws: `BullError` when the queue's prefix is not valid.
    public init?(
        _ runner: FunctionRunner, settings: Configuration.Queue, client: RedisClient, lockLoop: any EventLoop,
        grace: Duration, logger: Logger, workerID: String? = nil
    ) throws {
        let manifest = runner.function.manifest
        let name = runner.function.name
        guard let keeper = try ScheduleKeeper(name, manifest, settings: settings, client: client, logger: logger),
            case .schedule(let handler) = runner.function.handler
        else { return nil }
        self.keeper = workerID == nil ? keeper : nil
        description = "schedule of \(name)"
        self.grace = grace
        let attempts = JobAttempts(runner: runner, logger: logger, workerID: workerID)
        var options = attempts.workerOptions(settings, grace: grace)
        // A machine that is busy, or a process that starts again, must not cost ticks.
        options.scheduleGrace = .seconds(10)
        worker = try BullWorker(
            queue: ScheduleTrigger.queue(of: name), prefix: settings.prefix, options: options, client: client,
            lockLoop: lockLoop, logger: logger
        ) { job, control in
            let tick = ScheduledTick(
                at: job.scheduledAt ?? job.addedAt, attempt: job.attempt, maxAttempts: job.maxAttempts)
            return await attempts.run(job, control) { context in
                try await handler(tick, context)
                return "null"
            }
        }
    }

    /// The queue that holds the ticks of a function.
    static func queue(of function: String) -> String { "schedule-\(function)" }

    /// Runs ticks until shutdown; running ones then have their grace time and go back to the queue.
    public func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            if let keeper { group.addTask { await cancelWhenGracefulShutdown { await keeper.run() } } }
            group.addTask {
                try await withTaskCancellationOrGracefulShutdownHandler {
                    try await worker.run()
                } onCancelOrGracefulShutdown: {
                    worker.shutdown(grace: grace)
                }
            }
            // The checks end only with the shutdown; a worker that ends by a failure takes them along.
            while try await group.next() != nil {}
        }
    }
}
