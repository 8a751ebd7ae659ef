public import FunctionKit

/// Accepts jobs: into the history first, then into record and queue.
public struct JobIntake: Sendable {
    private let context: Context
    private let history: any HistoryStore
    private let records: JobStore
    private let queue: any JobQueue

    /// Makes an intake.
    ///
    /// - Parameter context: What the host lends.
    /// - Throws: ``FunctionKit/HTTPError`` 503 when a store is not configured.
    public init(_ context: Context) throws {
        self.context = context
        history = try context.bindings.history
        records = try context.jobStore
        queue = try context.bindings.queue(DownloadTask.queue)
    }

    /// Accepts a job.
    ///
    /// - Parameter request: What is asked for.
    /// - Returns: The job, which is committed and queued.
    /// - Throws: The history's error when it cannot commit. ``FunctionKit/HTTPError`` 503 with `Retry-After` when Redis
    ///   is away; the job is then closed as failed, so that nothing runs which nobody was told of.
    /// - Cancellation: a call that has begun goes on, so that a job is either queued or not there.
    public func accept(_ request: DownloadRequest) async throws -> JobRecord {
        let now = Timestamp.now
        let record = JobRecord(
            id: JobID(), owner: nil, options: request.options.json, fileIDs: request.fileIDs,
            maxAttempts: context.downloads.attempts, createdAt: now, updatedAt: now)
        try Task.checkCancellation()
        // Owned by this call, which waits for it; it ends with the stores' deadlines. A task of its own, because a
        // caller who goes away now must not leave a committed job behind that is queued nowhere.
        try await Task {
            try await history.insert(
                HistoryJob(
                    id: record.id.description, owner: record.owner, round: record.round,
                    status: record.status.rawValue, fileIDs: request.fileIDs, options: record.options,
                    createdAt: now, updatedAt: now))
            try await enqueue(record)
        }.value
        return record
    }

    private func enqueue(_ record: JobRecord) async throws {
        let settings = context.downloads
        do {
            _ = try await records.create(record)
            let options = JobOptions(
                id: record.id.description, attempts: record.maxAttempts,
                backoff: Backoff(.exponential, delay: settings.retryDelay),
                keepCompleted: KeepRule(age: settings.keepCompleted),
                keepFailed: KeepRule(age: settings.recordRetention))
            let task = DownloadTask(record, requestID: context.requestID)
            let addition = try await queue.add("download", data: task.json, options: options)
            if addition.isDuplicate {
                context.logger.error(
                    "the queue has a job of a new id already", metadata: ["job": "\(record.id)"])
            }
        } catch {
            context.logger.error(
                "a job could not be queued", metadata: ["job": "\(record.id)", "error": "\(error)"])
            await close(record)
            throw HTTPError(
                .serviceUnavailable, message: "The queue is away; please try again.", headers: [.retryAfter: "5"])
        }
    }

    /// Closes a job that was not queued. Should the queue have taken it after all, its worker finds it closed.
    private func close(_ record: JobRecord) async {
        let failure = JobFailure(code: ErrorClass.network.rawValue, message: "The job could not be queued.")
        let change = HistoryChange(status: JobStatus.failed.rawValue, at: .now, error: failure.historyText)
        var closed = record
        closed.status = .failed
        closed.failure = failure
        closed.updatedAt = change.at
        do {
            _ = try await history.update(
                record.id.description, round: record.round, from: JobStatus.unfinished.names, change: change)
            _ = try await records.advance(
                &closed, from: JobStatus.unfinished, claim: .any, messages: [.failure(isFinal: true)])
        } catch {
            context.logger.error(
                "a job that was not queued could not be closed everywhere",
                metadata: ["job": "\(record.id)", "error": "\(error)"])
        }
    }
}
