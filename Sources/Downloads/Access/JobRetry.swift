public import FunctionKit

/// Begins a new round of a job that has ended without an archive, or whose archive is gone.
///
/// The history decides: of several callers one begins the round. Then the round's record is written, and the queue gets
/// the job. What goes wrong after the history's commit is left to the ``Reconciler``.
public struct JobRetry: Sendable {
    /// The states that a retry begins in; an archive whose time is over counts as expired.
    static let states: Set<JobStatus> = [.failed, .expired, .cancelled]
    /// How long a worker that took up the ended round once more may take to notice it.
    static let patience = Duration.seconds(5)

    private let stores: JobStores
    private let context: Context

    /// Makes a retry.
    ///
    /// - Parameter context: What the host lends.
    /// - Throws: ``FunctionKit/HTTPError`` 503 when a store is not configured.
    public init(_ context: Context) throws {
        stores = try JobStores(context)
        self.context = context
    }

    /// Begins the job's next round.
    ///
    /// - Parameter id: The job.
    /// - Returns: The job, which is committed, and queued unless Redis is away.
    /// - Throws: ``FunctionKit/HTTPError``: 404 for an unknown job; 409 when it is in another state, also because somebody
    ///   else has begun the round, or while a worker still holds it (with `Retry-After`): nothing was changed then. The
    ///   history's error.
    /// - Cancellation: a call that has begun to change the job goes on.
    public func retry(_ id: JobID) async throws -> JobRecord {
        let job = try await stores.job(id)
        let now = Timestamp.now
        let status = try job.status(at: now)
        guard Self.states.contains(status) else {
            throw HTTPError(
                .conflict, code: "wrong_state",
                message:
                    "The job is \(status.rawValue); only one that failed, expired or was cancelled can be retried.",
                headers: status.isFinished ? [:] : [.retryAfter: "1"])
        }
        guard job.round < JobRecord.lastRound else {
            throw HTTPError(.conflict, code: "wrong_state", message: "The job was retried too often.")
        }
        let isQueueThere = try await checkWorkers(of: job)
        try Task.checkCancellation()
        // Owned by this call, which waits for it; it ends with the stores' deadlines. A task of its own, because a
        // caller who goes away now must not leave a round behind that is queued nowhere.
        return try await Task { try await begin(job, id, at: now, queues: isQueueThere) }.value
    }

    /// Refuses while a worker holds the job.
    ///
    /// - Returns: `false` while Redis is away. A worker that nobody knows of then is one of an older round, whose changes the
    ///   history refuses, and the reconciler queues the job when it has let go.
    private func checkWorkers(of job: HistoryJob) async throws -> Bool {
        do {
            guard try await stores.queue.find(job.id)?.state == .active else { return true }
        } catch let error as any ClassifiedError where error.isUnavailable {
            return false
        }
        throw HTTPError(
            .conflict, code: "still_active", message: "A worker has not let go of the job yet; please try again.",
            headers: [.retryAfter: "1"])
    }

    private func begin(
        _ job: HistoryJob, _ id: JobID, at time: Timestamp, queues isQueueThere: Bool
    ) async throws -> JobRecord {
        guard try await beginRound(job, at: time) else { throw Self.changedMeanwhile }
        let record = JobRecord(
            id: id, round: job.round + 1, owner: job.owner, options: job.options, fileIDs: job.fileIDs,
            maxAttempts: context.downloads.attempts, createdAt: job.createdAt, updatedAt: time)
        do {
            if isQueueThere {
                guard try await create(record) else { throw Self.changedMeanwhile }
                try await enqueue(record)
            }
        } catch let error as HTTPError where error.status == .conflict {
            throw error
        } catch {
            context.logger.warning(
                "a retried job could not be queued; the reconciler will",
                metadata: ["job": "\(id)", "error": "\(error)"])
        }
        if let archive = job.archive { await stores.discard(archive) }
        return record
    }

    /// - Returns: `false` when somebody else was faster.
    private func beginRound(_ job: HistoryJob, at time: Timestamp) async throws -> Bool {
        do {
            // One that is ready was found to be past its time, and stays so.
            return try await stores.history.beginRound(
                after: job.round, of: job.id, from: Self.states.union([.ready]).names, at: time)
        } catch {
            // No answer does not mean that nothing was written.
            guard let found = try await stores.history.find(job.id), found.round == job.round + 1,
                found.updatedAt == time
            else { throw error }
            return true
        }
    }

    /// - Returns: `false` when a later round has begun already.
    private func create(_ record: JobRecord) async throws -> Bool {
        if try await stores.records.create(record) { return true }
        // Written before: the first answer was lost.
        return try await stores.records.load(record.id)?.round == record.round
    }

    /// Queues the round, and whichever has followed it meanwhile: its data may have been replaced by that of this one.
    private func enqueue(_ record: JobRecord) async throws {
        var record = record
        // Each further turn means that this process stood still while the round ended and another was begun.
        for _ in 0..<4 {
            try await requeue(record)
            guard let current = try await stores.records.load(record.id), current.round > record.round,
                !current.status.isFinished
            else { return }
            record = current
        }
    }

    private func requeue(_ record: JobRecord) async throws {
        let task = DownloadTask(record, requestID: context.requestID)
        let options = stores.queueOptions(for: record)
        let deadline = ContinuousClock.now + Self.patience
        while true {
            let result = try await stores.queue.requeue(
                record.id.description, name: DownloadTask.name, data: task.json, options: options)
            guard result == .active else { return }
            guard ContinuousClock.now < deadline else {
                throw DownloadsError(.stillActive, "a worker still holds the job of an earlier round")
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    private static var changedMeanwhile: HTTPError {
        HTTPError(.conflict, code: "wrong_state", message: "The job was changed meanwhile; please look at it again.")
    }
}
