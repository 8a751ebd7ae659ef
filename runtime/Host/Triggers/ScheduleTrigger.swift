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
/// each tick. Every such process makes sure of the record at its start and again and again, and puts back what is lost.
public struct ScheduleTrigger: Service, CustomStringConvertible {
    /// The name in the logs of services, which would otherwise print every property.
    public let description: String
    private let name: String
    private let worker: BullWorker
    private let scheduler: BullScheduler
    private let schedule: BullSchedule
    private let checkInterval: Duration
    private let grace: Duration
    private let logger: Logger

    /// Makes the trigger, or `nil` when the function is not a scheduled one.
    ///
    /// - Parameters:
    ///   - runner: Runs the function within its limits.
    ///   - settings: Locks and checks.
    ///   - client: Redis; closed by the caller, after the trigger has ended.
    ///   - lockLoop: Renews locks; no handler may run on it.
    ///   - grace: The time that running ticks have at shutdown before they go back to the queue.
    ///   - logger: Gets what cannot be told to a tick, and what was put back.
    /// - Throws: `BullError` when the queue's prefix is not valid.
    public init?(
        _ runner: FunctionRunner, settings: Configuration.Queue, client: RedisClient, lockLoop: any EventLoop,
        grace: Duration, logger: Logger
    ) throws {
        let manifest = runner.function.manifest
        guard case .schedule(let pattern, let timeZone) = manifest.trigger,
            case .schedule(let handler) = runner.function.handler
        else { return nil }
        name = runner.function.name
        description = "schedule of \(name)"
        self.grace = grace
        self.logger = logger
        checkInterval = settings.scheduleCheck
        let queue = ScheduleTrigger.queue(of: name)
        scheduler = try BullScheduler(queue: queue, prefix: settings.prefix, client: client)
        schedule = BullSchedule(
            .pattern(pattern, timeZone: timeZone), options: ScheduleTrigger.jobOptions(retry: manifest.retry))
        let attempts = JobAttempts(runner: runner, logger: logger)
        var options = attempts.workerOptions(settings, grace: grace)
        // A machine that is busy, or a process that starts again, must not cost ticks.
        options.scheduleGrace = .seconds(10)
        worker = try BullWorker(
            queue: queue, prefix: settings.prefix, options: options, client: client, lockLoop: lockLoop, logger: logger
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
            group.addTask { await cancelWhenGracefulShutdown { await makeSure() } }
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

    /// Makes sure of the record until cancelled.
    private func makeSure() async {
        while !Task.isCancelled {
            var pause = checkInterval
            do {
                if let next = try await scheduler.ensure(name, schedule) {
                    logger.info("next tick planned", metadata: ["function": "\(name)", "due": "\(next.due)"])
                }
            } catch {
                guard !Task.isCancelled else { return }
                logger.warning(
                    "a schedule could not be checked", metadata: ["function": "\(name)", "error": "\(error)"])
                pause = min(pause, .seconds(5))
            }
            try? await Task.sleep(for: pause)
        }
    }

    /// A tick is tried again as the manifest says; of those that have ended the last ones are kept, to be looked at.
    private static func jobOptions(retry: FunctionManifest.Retry) -> BullJobOptions {
        let backoff = Backoff(retry.isExponential ? .exponential : .fixed, delay: retry.delay, jitter: retry.jitter)
        return BullJobOptions(
            attempts: retry.attempts, backoff: retry.attempts > 1 ? BullBackoff(backoff) : nil,
            removeOnComplete: BullKeepRule(count: 10), removeOnFail: BullKeepRule(count: 100))
    }
}
