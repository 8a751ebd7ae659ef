internal import FunctionKit

/// Queues what is to be told. The id of a callback's job follows from what it tells, so that however often it is queued it
/// is told once.
struct CallbackOutbox: Sendable {
    let queue: any JobQueue
    let settings: CallbacksConfiguration
    private let context: Context

    /// - Throws: ``FunctionKit/HTTPError`` 503 when no queues are configured.
    init(_ context: Context) throws {
        self.context = context
        queue = try context.bindings.queue(CallbackTask.queue)
        settings = context.bindings.settings()
    }

    /// Queues the callback about a job's end, if it wants one. Best effort: the reconciler queues what is missing.
    func announce(_ job: HistoryJob) async {
        guard let event = job.dueCallback else { return }
        do {
            _ = try await queue.add(CallbackTask.name, data: try data(event), options: options(event, of: job))
        } catch {
            context.logger.warning(
                "a callback could not be queued; the reconciler will",
                metadata: ["callback": "\(event.id)", "error": "\(error)"])
        }
    }

    /// Queues a callback that the queue does not have any more, or has given up with attempts left.
    ///
    /// - Throws: The queue's error.
    func requeue(_ event: CallbackEvent, of job: HistoryJob) async throws {
        _ = try await queue.requeue(
            event.id, name: CallbackTask.name, data: try data(event), options: options(event, of: job))
    }

    private func data(_ event: CallbackEvent) throws -> String {
        try JSON.text(CallbackTask(event, requestID: context.requestID))
    }

    private func options(_ event: CallbackEvent, of job: HistoryJob) -> JobOptions {
        let made = job.callback?.standing(of: event).attempts ?? 0
        return JobOptions(
            id: event.id, attempts: max(settings.attempts - made, 1),
            backoff: Backoff(.exponential, delay: settings.retryDelay),
            keepCompleted: KeepRule(age: context.downloads.keepCompleted),
            keepFailed: KeepRule(age: context.downloads.recordRetention))
    }
}
