internal import FunctionKit

/// The stores that hold a job, and what the steps of its life outside a worker have in common.
struct JobStores: Sendable {
    let context: Context
    let history: any HistoryStore
    let records: JobStore
    let queue: any JobQueue
    let outbox: CallbackOutbox

    /// - Throws: ``FunctionKit/HTTPError`` 503 when a store is not configured.
    init(_ context: Context) throws {
        self.context = context
        history = try context.bindings.history
        records = try context.jobStore
        queue = try context.bindings.queue(DownloadTask.queue)
        outbox = try CallbackOutbox(context)
    }

    /// The job as the history has it, for a change.
    ///
    /// - Throws: ``FunctionKit/HTTPError`` 404 `not_found` for a job that the history does not know, whose retention is over
    ///   or that the caller may not access; a store's error.
    func job(_ id: JobID) async throws -> HistoryJob {
        let job = try await known(id)
        guard JobStatus.unfinished.names.contains(job.status), let record = try await presentRecord(id),
            record.round == job.round, record.status == .failed
        else { return job }
        // The history was away when the worker told everyone else of the failure.
        let change = HistoryChange(
            status: JobStatus.failed.rawValue, at: record.updatedAt, error: record.failure?.historyText)
        _ = try await history.update(job.id, round: job.round, from: JobStatus.unfinished.names, change: change)
        return try await known(id)
    }

    /// - Returns: `nil` also while Redis is away: what the history says is all that is known then, and it wins later.
    private func presentRecord(_ id: JobID) async throws -> JobRecord? {
        do {
            return try await records.load(id)
        } catch let error as any ClassifiedError where error.isUnavailable {
            try Task.checkCancellation()
            return nil
        }
    }

    private func known(_ id: JobID) async throws -> HistoryJob {
        guard let job = try await history.find(id.description), !context.downloads.isOver(job, at: .now),
            context.mayAccess(owner: job.owner)
        else { throw context.notFound(id) }
        return job
    }

    /// Changes the status of a job in its round, from one of the given states.
    ///
    /// - Returns: The job after the change, or `nil` when it is not in one of the states any more.
    /// - Throws: The history's error; the change may then have been made.
    func change(_ job: HistoryJob, from states: Set<JobStatus>, to change: HistoryChange) async throws -> HistoryJob? {
        let isDone: Bool
        do {
            isDone = try await history.update(job.id, round: job.round, from: states.names, change: change)
        } catch {
            // No answer does not mean that nothing was written.
            guard let found = try await history.find(job.id), found.round == job.round, found.status == change.status,
                found.updatedAt == change.at
            else { throw error }
            isDone = true
        }
        return isDone ? job.with(change) : nil
    }

    /// How a job of the queue is to be worked and kept.
    func queueOptions(for record: JobRecord) -> JobOptions {
        let settings = context.downloads
        return JobOptions(
            id: record.id.description, attempts: record.maxAttempts,
            backoff: Backoff(.exponential, delay: settings.retryDelay),
            keepCompleted: KeepRule(age: settings.keepCompleted), keepFailed: KeepRule(age: settings.recordRetention),
            owner: record.owner)
    }

    /// Deletes an archive that no job has any more. Best effort: the sweeper takes what is left.
    func discard(_ archive: HistoryArchive) async {
        do {
            try await context.bindings.objects.delete(archive.key)
        } catch {
            context.logger.warning(
                "an archive could not be deleted; the sweeper will",
                metadata: ["key": "\(archive.key)", "error": "\(error)"])
        }
    }
}
