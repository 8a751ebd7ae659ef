internal import BullQueue
internal import FunctionKit
internal import Logging

/// Runs the attempts of a queue's jobs by a function within its limits, and says what the queue is to make of each.
struct JobAttempts: Sendable {
    let runner: FunctionRunner
    let logger: Logger
    /// What the worker is to call itself, in a process of the function's own.
    var workerID: String?

    /// How a worker works that has its jobs done by the function.
    func workerOptions(_ settings: Configuration.Queue, grace: Duration) -> BullWorkerOptions {
        var options = BullWorkerOptions()
        options.concurrency = runner.function.manifest.concurrency
        options.lockDuration = settings.lockDuration
        options.stalledCheckInterval = settings.stalledCheck
        options.stalledCheckGate = settings.stalledGate
        options.maxStalledCount = settings.maxStalledCount
        options.maxRunningPerOwner = settings.maxRunningPerUser > 0 ? settings.maxRunningPerUser : nil
        options.shutdownGrace = grace
        // What is called there only waits: the function itself runs where its manifest says.
        options.handlersRunOnLoop = true
        options.name = runner.function.name
        options.id = workerID
        // One that ends the process must not take the same neighbours along again and again.
        options.worksStalledAlone = workerID != nil
        return options
    }

    /// Runs one attempt; `body` calls the handler and returns its result as JSON text.
    func run(
        _ job: BullJob, _ control: BullJobControl, _ body: @escaping @Sendable (Context) async throws -> String
    ) async -> BullOutcome {
        let reportProgress: @Sendable (String) async throws -> Void = { json in try await control.updateProgress(json) }
        do {
            let result = try await runner.run(
                requestID: job.id, attempt: job.attempt, reportProgress: reportProgress,
                outlived: { isOutlived in isOutlived ? control.takePlace() : control.givePlaceBack() }, body)
            return .completed(result)
        } catch {
            return await outcome(of: error, job: job)
        }
    }

    private func outcome(of failure: InvocationError, job: BullJob) async -> BullOutcome {
        switch failure {
        case .cancelled: return .handBack
        case .saturated:
            // Other invocations of the function hold every slot. The attempt must not count, and the job must not come
            // straight back here, so it waits a moment; a shutdown ends the wait.
            try? await Task.sleep(for: .seconds(1))
            return .handBack
        case .timedOut, .handler: break
        }
        let (reason, retry) = failure.attemptFailure(timeout: runner.function.manifest.timeout)
        logger.warning(
            "a job's attempt failed",
            metadata: [
                "function": "\(runner.function.name)", "job": "\(job.id)",
                "attempt": "\(job.attempt) of \(job.maxAttempts)", "error": "\(failure)",
            ])
        return .failed(reason: reason, retry: retry)
    }
}
