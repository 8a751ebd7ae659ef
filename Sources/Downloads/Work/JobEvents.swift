public import FunctionKit

/// The side effects of the queue's events. Each may come twice, late, or after the same was done by a worker.
public struct JobEvents: Sendable {
    private let history: any HistoryStore
    private let records: JobStore
    private let queue: any JobQueue
    private let outbox: CallbackOutbox
    private let settings: DownloadsConfiguration

    /// Makes the effects.
    ///
    /// - Parameter context: What the host lends.
    /// - Throws: ``FunctionKit/HTTPError`` 503 when a store is not configured.
    public init(_ context: Context) throws {
        history = try context.bindings.history
        records = try context.jobStore
        queue = try context.bindings.queue(DownloadTask.queue)
        outbox = try CallbackOutbox(context)
        settings = context.downloads
    }

    /// Writes the results that a report brought to the history.
    ///
    /// A report that comes after the end of its job changes nothing: the worker wrote all results before.
    ///
    /// - Parameters:
    ///   - report: The report.
    ///   - id: The job's id in the queue.
    /// - Throws: The history's error.
    public func record(_ report: ProgressReport, of id: String) async throws {
        guard !report.files.isEmpty, let job = try await history.find(id), job.round == report.round,
            JobStatus.unfinished.names.contains(job.status)
        else { return }
        let now = Timestamp.now
        _ = try await history.record(report.files.map { $0.historyFile(at: now) }, of: id, round: report.round)
    }

    /// Makes sure that a job whose worker succeeded is finished in the history and in its record.
    ///
    /// - Parameters:
    ///   - outcome: What the worker returned.
    ///   - id: The job's id in the queue.
    /// - Throws: A store's error.
    public func complete(_ outcome: DownloadOutcome, of id: String) async throws {
        guard outcome.status == .ready, let archive = outcome.archive else { return }
        let now = Timestamp.now
        let change = HistoryChange(
            status: JobStatus.ready.rawValue, at: now,
            expiresAt: outcome.expiresAt.map(Timestamp.init(milliseconds:)) ?? now + settings.archiveLifetime,
            archive: HistoryArchive(key: archive.key, sizeBytes: archive.size, crc32: archive.crc32))
        _ = try await history.update(id, round: outcome.round, from: JobStatus.unfinished.names, change: change)
        guard let job = try await history.find(id) else { return }
        // Before the record, which may be away: the queue is not away by itself.
        await outbox.announce(job)
        try await records.align(with: job, files: try await history.files(of: id))
    }

    /// Closes a job that the queue has given up for good and whose worker could not say so itself: it was lost once too
    /// often, or a store was away at the wrong moment.
    ///
    /// - Parameters:
    ///   - reason: The queue's reason; it is not shown to the job's owner.
    ///   - id: The job's id in the queue.
    ///   - time: When the queue gave it up.
    /// - Throws: A store's error.
    public func fail(_ reason: String, of id: String, at time: Timestamp) async throws {
        guard let id = JobID(id), var job = try await history.find(id.description) else { return }
        if JobStatus.unfinished.names.contains(job.status), try await concerns(job, at: time) {
            job = try await close(job, id, reason)
        }
        await outbox.announce(job)
        try await records.align(with: job, files: try await history.files(of: job.id))
    }

    /// Closes an unfinished job in the history for a reason of the queue.
    ///
    /// - Returns: The job as the history has it then.
    /// - Throws: A store's error.
    func close(_ job: HistoryJob, _ id: JobID, _ reason: String) async throws -> HistoryJob {
        let record = try await records.load(id)
        let known = record?.round == job.round ? record?.failure : nil
        let failure = known ?? AttemptFailure.failure(queueReason: reason)
        let change = HistoryChange(status: JobStatus.failed.rawValue, at: .now, error: failure.historyText)
        _ = try await history.update(job.id, round: job.round, from: JobStatus.unfinished.names, change: change)
        return try await history.find(job.id) ?? job
    }

    /// Whether a failure is one of the job's current round. A round begins only after the end of the one before, so an
    /// event that is older than the round's last change, or about a job that the queue is going to work, is a late one.
    private func concerns(_ job: HistoryJob, at time: Timestamp) async throws -> Bool {
        if job.round == 1 { return true }
        guard job.updatedAt <= time else { return false }
        let queued = try await queue.find(job.id)
        return queued == nil || queued?.state == .ended
    }
}
