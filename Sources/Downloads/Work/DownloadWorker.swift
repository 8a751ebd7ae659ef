public import FunctionKit

/// Works one attempt of one download job.
///
/// Several workers may believe that a job is theirs: one that stalled comes back, another has taken over. Two things
/// keep them apart. In the record each worker holds a claim, and a change by any other is refused. In the history the
/// first change to a finished state wins; it comes before the record's. So:
///
/// 1. Claim the record. Refused: somebody else has finished the job or begun a new round; nothing to do.
/// 2. Mark it in the history. Refused: it is finished there, for a worker died between the two stores; bring the
///    record in line.
/// 3. Make the archive under a key of this claim's own, following it in the record.
/// 4. Results and state into the history. Refused: the archive is surplus and deleted, the record brought in line.
/// 5. State into the record. The queue's own state is changed by the host, last of all.
public struct DownloadWorker: Sendable {
    private let context: Context
    private let settings: DownloadsConfiguration
    private let history: any HistoryStore
    private let records: JobStore
    private let objects: any ObjectStore

    /// Makes a worker.
    ///
    /// - Parameter context: What the host lends for the attempt.
    /// - Throws: ``FunctionKit/HTTPError`` 503 when a store is not configured.
    public init(_ context: Context) throws {
        self.context = context
        settings = context.downloads
        history = try context.bindings.history
        records = try context.jobStore
        objects = try context.bindings.objects
    }

    /// Works the attempt.
    ///
    /// - Parameter job: The queue's job.
    /// - Returns: How the job stands; also when there was nothing to do.
    /// - Throws: `Permanent` when the job failed for good, otherwise what made the attempt fail.
    /// - Cancellation: past the deadline a failed attempt, before it none: the job waits for its next worker. The
    ///   upload is given up first.
    public func work(_ job: QueueJob<DownloadTask>) async throws -> DownloadOutcome {
        // A job that somebody else has put into the queue must not be able to speak for another one.
        guard let id = JobID(job.payload.jobId), id.description == job.id else {
            throw Permanent("The job's data names no job.", class: .validation)
        }
        guard var record = try await records.load(id) else { return try await withoutRecord(id, job.payload.round) }
        guard record.round == job.payload.round else {
            return DownloadOutcome(status: record.status, round: job.payload.round)
        }
        record.beginAttempt(job.attempt)
        record.maxAttempts = job.maxAttempts
        record.status = .processing
        record.updatedAt = .now
        switch try await records.advance(&record, from: JobStatus.unfinished, claim: .take, messages: [.status]) {
        case .done: break
        case .refused(let refusal):
            context.logger.info(
                "a job was delivered that needs no work", metadata: ["status": "\(refusal.status?.rawValue ?? "none")"])
            return DownloadOutcome(status: refusal.status, round: record.round)
        }
        let reporter = AttemptReporter(record, records: records, context: context)
        do {
            return try await reporter.watching { [record] in try await attempt(job, record, reporter) }
        } catch {
            let failure = AttemptFailure(
                // The host's timer and this clock need not agree to the last microsecond.
                error, isCancelled: Task.isCancelled, isPastDeadline: context.remaining < .milliseconds(5),
                isLast: job.attempt >= job.maxAttempts)
            // Owned by this call, which waits for it; it ends with the stores' deadlines. A task of its own, because
            // the current one may be cancelled.
            return try await Task { try await settle(failure, error, reporter) }.value
        }
    }

    private func attempt(
        _ job: QueueJob<DownloadTask>, _ record: JobRecord, _ reporter: AttemptReporter
    ) async throws -> DownloadOutcome {
        let began = HistoryChange(status: JobStatus.processing.rawValue, at: record.updatedAt)
        guard try await change(record, began) else { return try await align(record) }
        let request = ArchiveRequest(
            sources: record.files.map { file in
                let key = settings.sourceKey(for: file.id)
                let name = key.split(separator: "/").last.map(String.init) ?? key
                return ArchiveSource(fileID: file.id, key: key, name: name)
            },
            key: settings.archiveKey(of: record),
            onMissing: DownloadOptions(json: record.options).onMissing,
            isLastAttempt: job.attempt >= job.maxAttempts)
        let builder = ArchiveBuilder(store: objects, policy: settings.archivePolicy, logger: context.logger)
        let result = try await builder.build(request, callbacks: reporter.callbacks)
        // As above: from here on the archive exists and must be either recorded or deleted.
        return try await Task { try await finish(result, reporter) }.value
    }

    // MARK: Success

    private func finish(_ result: ArchiveResult, _ reporter: AttemptReporter) async throws -> DownloadOutcome {
        do {
            try await reporter.confirm()
        } catch {
            await discard(result.key)
            throw error
        }
        var record = await reporter.record
        record.status = .ready
        record.archive = HistoryArchive(key: result.key, sizeBytes: result.sizeBytes, crc32: result.crc32)
        record.updatedAt = .now
        record.expiresAt = record.updatedAt + settings.archiveLifetime
        record.progress = record.tally(isReady: true)
        record.upload = nil
        let isOurs = try await commit(record, results: await reporter.results)
        guard isOurs else {
            await discard(result.key)
            return try await align(record)
        }
        do {
            if case .refused(let refusal) = try await records.advance(
                &record, from: [.processing], claim: .held(record.claim), messages: JobMessage.ending(.ready))
            {
                // Another worker has the record; it will find the job finished in the history.
                context.logger.notice(
                    "the record of a finished job is another's", metadata: ["claim": "\(refusal.claim)"])
            }
        } catch {
            // The history has it: the queue's `completed` event brings the record in line.
            context.logger.error("the record of a finished job could not be written", metadata: ["error": "\(error)"])
        }
        return DownloadOutcome(
            status: .ready, round: record.round, archive: record.archive, expiresAt: record.expiresAt)
    }

    /// Writes results and end to the history.
    ///
    /// - Returns: Whether this worker's archive is the job's.
    private func commit(_ record: JobRecord, results: [ProgressReport.File]) async throws -> Bool {
        let id = record.id.description
        do {
            _ = try await history.record(
                results.map { $0.historyFile(at: record.updatedAt) }, of: id, round: record.round)
        } catch {
            if let key = record.archive?.key { await discard(key) }
            throw error
        }
        do {
            let end = HistoryChange(
                status: JobStatus.ready.rawValue, at: record.updatedAt, expiresAt: record.expiresAt,
                archive: record.archive)
            return try await change(record, end)
        } catch {
            // No answer does not mean that nothing was written. While that is unknown the archive must stay.
            guard let job = try await history.find(id), job.round == record.round,
                job.archive?.key == record.archive?.key
            else { throw error }
            return true
        }
    }

    private func discard(_ key: String) async {
        do {
            try await objects.delete(key)
        } catch {
            context.logger.warning(
                "a surplus archive could not be deleted; the sweeper will",
                metadata: ["key": "\(key)", "error": "\(error)"])
        }
    }

    // MARK: Failure

    private func settle(
        _ failure: AttemptFailure, _ error: any Error, _ reporter: AttemptReporter
    ) async throws -> DownloadOutcome {
        var record = await reporter.record
        record.updatedAt = .now
        record.upload = nil
        record.progress.secondsRemaining = nil
        switch failure {
        case .superseded:
            let refusal = await reporter.refusal
            if refusal?.reason == .noRecord { return try await withoutRecord(record.id, record.round) }
            return DownloadOutcome(status: refusal?.status, round: record.round)
        case .interrupted:
            record.failure = nil
            try await requeue(&record, messages: [.status])
            throw error
        case .retryable(let reason):
            context.logger.warning("an attempt failed", metadata: ["error": "\(error)"])
            record.failure = reason
            try await requeue(&record, messages: [.failure(isFinal: false), .status])
            throw error
        case .final(let reason):
            context.logger.error("a download failed", metadata: ["error": "\(error)"])
            record.failure = reason
            guard try await fail(&record, reporter) else { return try await align(record) }
            throw Permanent(reason.message, class: ErrorClass(rawValue: reason.code) ?? .unknown)
        }
    }

    /// Puts the job back for a further attempt. The record decides whether it is still this worker's; what the history
    /// says of an unfinished job matters only to lists, so its failure is no failure of this.
    private func requeue(_ record: inout JobRecord, messages: [JobMessage]) async throws {
        record.status = .queued
        do {
            guard
                case .done = try await records.advance(
                    &record, from: [.processing], claim: .held(record.claim), messages: messages)
            else { return }
            let back = HistoryChange(
                status: JobStatus.queued.rawValue, at: record.updatedAt, error: record.failure?.historyText)
            _ = try await change(record, back)
        } catch {
            context.logger.warning("a job could not be put back in its record", metadata: ["error": "\(error)"])
        }
    }

    /// - Returns: `false` when the job was finished by someone else.
    private func fail(_ record: inout JobRecord, _ reporter: AttemptReporter) async throws -> Bool {
        record.status = .failed
        do {
            try await reporter.confirm()
            let files = await reporter.results.map { $0.historyFile(at: record.updatedAt) }
            _ = try await history.record(files, of: record.id.description, round: record.round)
            let end = HistoryChange(
                status: JobStatus.failed.rawValue, at: record.updatedAt, error: record.failure?.historyText)
            guard try await change(record, end) else { return false }
        } catch let error as DownloadsError where error == DownloadsError(.lostClaim, "") {
            return false
        } catch {
            // The queue will not try again, so those who watch are told in any case.
            context.logger.error("a failure could not be written to the history", metadata: ["error": "\(error)"])
        }
        do {
            _ = try await records.advance(
                &record, from: [.processing], claim: .held(record.claim), messages: JobMessage.ending(.failed))
        } catch {
            context.logger.error("the record of a failed job could not be written", metadata: ["error": "\(error)"])
        }
        return true
    }

    // MARK: History

    private func change(_ record: JobRecord, _ change: HistoryChange) async throws -> Bool {
        try await history.update(
            record.id.description, round: record.round, from: JobStatus.unfinished.names, change: change)
    }

    /// Brings the record in line with a job that the history shows as finished.
    private func align(_ record: JobRecord) async throws -> DownloadOutcome {
        let id = record.id.description
        guard let job = try await history.find(id) else {
            throw Permanent("The history does not know the job.", class: .validation)
        }
        try await records.align(with: job, files: try await history.files(of: id))
        return DownloadOutcome(job)
    }

    /// A job whose record is gone cannot be worked: its next `seq` is unknown, and watchers would drop what is told
    /// them. The reconciler finds it unfinished and begins its next round.
    private func withoutRecord(_ id: JobID, _ round: Int) async throws -> DownloadOutcome {
        guard let job = try await history.find(id.description) else {
            throw Permanent("The history does not know the job.", class: .validation)
        }
        context.logger.notice("a job has no record", metadata: ["status": "\(job.status)", "round": "\(round)"])
        return DownloadOutcome(job)
    }
}
