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
    /// - Throws: `BullError` when the queue's name is not valid.
    public init?(
        _ runner: FunctionRunner, settings: Configuration.Queue, client: RedisClient, lockLoop: any EventLoop,
        grace: Duration, logger: Logger
    ) throws {
        guard case .queue(let queue, .process) = runner.function.manifest.trigger,
            case .queue(let handler) = runner.function.handler
        else { return nil }
        var options = BullWorkerOptions()
        options.concurrency = runner.function.manifest.concurrency
        options.lockDuration = settings.lockDuration
        options.stalledCheckInterval = settings.stalledCheck
        options.stalledCheckGate = settings.stalledGate
        options.maxStalledCount = settings.maxStalledCount
        options.shutdownGrace = grace
        // What is called there only waits: the function itself runs where its manifest says.
        options.handlersRunOnLoop = true
        options.name = runner.function.name
        self.grace = grace
        description = "worker of \(runner.function.name)"
        worker = try BullWorker(
            queue: queue, prefix: settings.prefix, options: options, client: client, lockLoop: lockLoop, logger: logger
        ) { job, control in
            await QueueTrigger.work(job, control, queue: queue, runner: runner, handler: handler, logger: logger)
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

    private static func work(
        _ job: BullJob, _ control: BullJobControl, queue: String, runner: FunctionRunner,
        handler: @escaping @Sendable (QueueJob<String>, Context) async throws -> String, logger: Logger
    ) async -> BullOutcome {
        let given = QueueJob(
            id: job.id, name: job.name, queue: queue, payload: job.data, attempt: job.attempt,
            maxAttempts: job.maxAttempts, addedAt: job.addedAt)
        let reportProgress: @Sendable (String) async throws -> Void = { json in try await control.updateProgress(json) }
        do {
            let result = try await runner.run(
                requestID: job.id, attempt: job.attempt, reportProgress: reportProgress,
                outlived: { isOutlived in isOutlived ? control.takePlace() : control.givePlaceBack() },
                { context in try await handler(given, context) })
            return .completed(result)
        } catch {
            return await outcome(of: error, job: job, runner: runner, logger: logger)
        }
    }

    private static func outcome(
        of failure: InvocationError, job: BullJob, runner: FunctionRunner, logger: Logger
    ) async -> BullOutcome {
        let timeout = runner.function.manifest.timeout
        let reason: String
        var retry = BullOutcome.Retry.policy
        switch failure {
        case .cancelled: return .handBack
        case .saturated:
            // Other invocations of the function hold every slot. The attempt must not count, and the job must not come
            // straight back here, so it waits a moment; a shutdown ends the wait.
            try? await Task.sleep(for: .seconds(1))
            return .handBack
        case .timedOut: reason = "\(ErrorClass.timeout.rawValue): the attempt took longer than \(timeout)"
        case .handler(let error as Permanent):
            reason = error.message
            retry = .never
        case .handler(let error as RetryAfter):
            reason = error.message
            retry = .after(error.delay)
        case .handler(let error as HTTPError): reason = error.message
        case .handler(let error as any ClassifiedError): reason = error.description
        case .handler(let error):
            // The text of an unknown error may tell internals: it goes to the log, not to the job.
            reason = "\(ErrorClass(of: error).rawValue): the handler failed"
        }
        logger.warning(
            "a job's attempt failed",
            metadata: [
                "function": "\(runner.function.name)", "job": "\(job.id)",
                "attempt": "\(job.attempt) of \(job.maxAttempts)", "error": "\(failure)",
            ])
        return .failed(reason: reason, retry: retry)
    }
}
