internal import FunctionKit
internal import Logging

extension BullWorker {
    /// Plans the job that follows one of a scheduler, and then works the started one.
    ///
    /// While Redis is away the planning is tried again for as long as two locks hold; then the job goes back to the queue,
    /// so that its next start plans. What can never be planned is logged, and the job is worked all the same.
    func work(
        _ job: BullJob, of schedulerID: String, _ control: BullJobControl, refusal: String?
    ) async -> BullOutcome {
        let advance = ScheduleAdvance(
            schedulerID: schedulerID, job: job, keys: keys, client: client, grace: options.scheduleGrace)
        let deadline = ContinuousClock.now + options.lockDuration * 2
        var pause = Duration.milliseconds(50)
        while true {
            do {
                let outcome = try await advance.run(now: Timestamp.now.milliseconds)
                logger.trace("scheduler advanced", metadata: ["job": "\(job.id)", "outcome": "\(outcome)"])
                break
            } catch {
                if Task.isCancelled { return .handBack }
                let metadata: Logger.Metadata = [
                    "scheduler": "\(schedulerID)", "job": "\(job.id)", "error": "\(error)",
                ]
                guard error.isUnavailable else {
                    logger.error("no job of the scheduler follows", metadata: metadata)
                    break
                }
                guard ContinuousClock.now < deadline else {
                    logger.warning(
                        "a scheduler could not be advanced; its job goes back to the queue",
                        metadata: metadata)
                    return .handBack
                }
                try? await Task.sleep(for: pause)
                pause = min(pause * 2, .seconds(1))
            }
        }
        if let refusal { return .failed(reason: refusal, retry: .never) }
        return await handler(job, control)
    }
}
