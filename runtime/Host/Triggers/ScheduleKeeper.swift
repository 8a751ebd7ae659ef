internal import BullQueue
internal import FunctionKit
internal import Logging
internal import RedisClient

/// Makes sure that a scheduled function's record is in its queue, with the next tick, and puts back what is lost.
struct ScheduleKeeper: Sendable {
    private let name: String
    private let scheduler: BullScheduler
    private let schedule: BullSchedule
    private let checkInterval: Duration
    private let logger: Logger

    /// Makes a keeper, or `nil` when the function is not a scheduled one.
    ///
    /// - Throws: `BullError` when the queue's prefix is not valid.
    init?(
        _ name: String, _ manifest: FunctionManifest, settings: Configuration.Queue, client: RedisClient, logger: Logger
    ) throws {
        guard case .schedule(let pattern, let timeZone) = manifest.trigger else { return nil }
        self.name = name
        self.logger = logger
        checkInterval = settings.scheduleCheck
        scheduler = try BullScheduler(queue: ScheduleTrigger.queue(of: name), prefix: settings.prefix, client: client)
        schedule = BullSchedule(
            .pattern(pattern, timeZone: timeZone), options: ScheduleKeeper.jobOptions(retry: manifest.retry))
    }

    /// Makes sure of the record until cancelled.
    func run() async {
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
