public import FunctionKit

/// The side effects of the queue's events. Each may come twice, late, or after the same was done by a worker.
public struct JobEvents: Sendable {
    private let history: any HistoryStore
    private let records: JobStore
    private let settings: DownloadsConfiguration

    /// Makes the effects.
    ///
    /// - Parameter context: What the host lends.
    /// - Throws: ``FunctionKit/HTTPError`` 503 when a store is not configured.
    public init(_ context: Context) throws {
        history = try context.bindings.history
        records = try context.jobStore
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
        try await records.align(with: job, files: try await history.files(of: id))
    }
}
