public import FunctionKit

/// Accepts jobs. A job is accepted once the history has committed it; record and queue follow at once where Redis answers,
/// and otherwise by the ``Reconciler``.
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

    /// Accepts a job of the caller's.
    ///
    /// - Parameters:
    ///   - request: What is asked for.
    ///   - key: The request's `Idempotency-Key`; of all requests of an owner with the same key one makes a job.
    /// - Returns: The job, which is committed.
    /// - Throws: ``FunctionKit/HTTPError`` 422 `idempotency_key_reused` when the key was used for something else; nothing
    ///   was written then. The history's error when it cannot commit, or when it did not answer: the job may then run.
    /// - Cancellation: a call that has begun to write goes on.
    public func accept(_ request: DownloadRequest, key: String? = nil) async throws -> AcceptedJob {
        let now = Timestamp.now
        let record = JobRecord(
            id: JobID(), owner: context.owner, options: request.options.json, fileIDs: request.fileIDs,
            maxAttempts: context.downloads.attempts, createdAt: now, updatedAt: now)
        try Task.checkCancellation()
        // Owned by this call, which waits for it; it ends with the history's deadline. A task of its own, because a job
        // whose caller goes away now would otherwise wait for the reconciler.
        let (id, queueing) = try await Task {
            let id = try await commit(record, request, key)
            return (id, id == record.id ? FollowUp { await enqueue(record) } : nil)
        }.value
        await queueing?.wait()
        return AcceptedJob(id: id, fileCount: request.fileIDs.count, isRepeated: id != record.id)
    }

    /// - Returns: The id of the job, or of the one that was accepted before.
    private func commit(_ record: JobRecord, _ request: DownloadRequest, _ key: String?) async throws -> JobID {
        let job = HistoryJob(
            id: record.id.description, owner: record.owner, round: record.round, status: record.status.rawValue,
            fileIDs: request.fileIDs, options: record.options, createdAt: record.createdAt, updatedAt: record.updatedAt,
            callback: request.options.callbackURL.map { _ in HistoryCallback() })
        guard let key else {
            try await stores.history.insert(job)
            return record.id
        }
        let wanted = HistoryKey(
            text: key, jobID: job.id, digest: request.digest,
            expiresAt: record.createdAt + context.downloads.idempotencyLifetime)
        let known = try await stores.history.insert(job, key: wanted)
        guard known.digest == wanted.digest else {
            throw HTTPError(
                .unprocessableContent, code: "idempotency_key_reused",
                message: "The Idempotency-Key was used for another request.")
        }
        guard let id = JobID(known.jobID) else {
            throw DownloadsError(.corruptRecord, "a key of the history names no job")
        }
        return id
    }

    private func enqueue(_ record: JobRecord) async {
        do {
            // A later round means that the reconciler came first.
            guard try await stores.records.create(record) else { return }
            let task = DownloadTask(record, requestID: context.requestID)
            let addition = try await stores.queue.add(
                DownloadTask.name, data: task.json, options: stores.queueOptions(for: record))
            if addition.isDuplicate {
                context.logger.error(
                    "the queue has a job of a new id already", metadata: ["job": "\(record.id)"])
            }
        } catch {
            context.logger.warning(
                "an accepted job could not be queued; the reconciler will",
                metadata: ["job": "\(record.id)", "error": "\(error)"])
        }
    }
}
