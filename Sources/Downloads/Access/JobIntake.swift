public import FunctionKit

/// Accepts jobs: into the history first, then into record and queue.
public struct JobIntake: Sendable {
    private let context: Context
    private let stores: JobStores

    /// Makes an intake.
    ///
    /// - Parameter context: What the host lends.
    /// - Throws: ``FunctionKit/HTTPError`` 503 when a store is not configured.
    public init(_ context: Context) throws {
        self.context = context
        stores = try JobStores(context)
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
            id: JobID(), owner: context.owner, options: request.options.json, fileIDs: request.fileIDs,
            maxAttempts: context.downloads.attempts, createdAt: now, updatedAt: now)
        try Task.checkCancellation()
        // Owned by this call, which waits for it; it ends with the stores' deadlines. A task of its own, because a
        // caller who goes away now must not leave a committed job behind that is queued nowhere.
        try await Task {
            try await stores.history.insert(
                HistoryJob(
                    id: record.id.description, owner: record.owner, round: record.round,
                    status: record.status.rawValue, fileIDs: request.fileIDs, options: record.options,
                    createdAt: now, updatedAt: now))
            try await enqueue(record)
        }.value
        return record
    }

    private func enqueue(_ record: JobRecord) async throws {
        do {
            _ = try await stores.records.create(record)
            let task = DownloadTask(record, requestID: context.requestID)
            let addition = try await stores.queue.add(
                DownloadTask.name, data: task.json, options: stores.queueOptions(for: record))
            if addition.isDuplicate {
                context.logger.error(
                    "the queue has a job of a new id already", metadata: ["job": "\(record.id)"])
            }
        } catch {
            context.logger.error(
                "a job could not be queued", metadata: ["job": "\(record.id)", "error": "\(error)"])
            await stores.close(record)
            throw HTTPError(
                .serviceUnavailable, message: "The queue is away; please try again.", headers: [.retryAfter: "5"])
        }
    }
}
