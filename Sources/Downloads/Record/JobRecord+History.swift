internal import FunctionKit

extension JobRecord {
    /// A job as the history tells it, for when its record is gone.
    ///
    /// Its `seq` is the first of the round while the job is unfinished and the last possible one when it is finished,
    /// so that no watcher has seen a higher one of the same round by then.
    ///
    /// - Returns: `nil` when the row is not one of a download job.
    init?(_ job: HistoryJob, files results: [HistoryFile], maxAttempts: Int) {
        guard let id = JobID(job.id), let status = JobStatus(rawValue: job.status),
            (1...JobRecord.lastRound).contains(job.round), job.fileIDs.count <= JobRecord.maxFiles
        else { return nil }
        self.init(
            id: id, round: job.round, owner: job.owner, options: job.options, fileIDs: job.fileIDs,
            maxAttempts: maxAttempts, createdAt: job.createdAt, updatedAt: job.updatedAt)
        self.status = status
        if status.isFinished { seq = JobRecord.firstSeq(of: round + 1) - 2 }
        archive = job.archive
        expiresAt = job.expiresAt
        failure = job.error.map(JobFailure.init(historyText:))
        for result in results where files.indices.contains(result.position) {
            guard files[result.position].id == result.fileID, let state = JobFile.State(rawValue: result.status) else {
                continue
            }
            files[result.position] = JobFile(
                id: result.fileID, state: state, sizeBytes: result.sizeBytes, error: result.error)
        }
        progress = tally(isReady: status == .ready || status == .expired)
    }

    /// The progress that follows from the results of the files.
    func tally(isReady: Bool) -> Progress {
        let current = files.count { $0.state != .pending }
        // A database from outside may hold any sizes.
        let bytes = files.reduce(Int64(0)) { $0 &+ ($1.state == .completed ? $1.sizeBytes ?? 0 : 0) }
        return Progress(
            current: current, total: files.count,
            permille: isReady ? 1000 : Progress.permille(Double(current), of: Double(max(files.count, 1))),
            bytes: bytes,
            totalBytes: isReady ? bytes : nil, secondsRemaining: isReady ? 0 : nil)
    }
}

extension HistoryJob {
    /// The status at that time: an archive whose time has come is expired, whether or not it was deleted yet.
    ///
    /// - Throws: ``DownloadsError`` with code `corruptRecord` when the row is not one of a download job.
    func status(at time: Timestamp) throws -> JobStatus {
        guard let status = JobStatus(rawValue: status) else {
            throw DownloadsError(.corruptRecord, "the history's status is none of a download job")
        }
        guard status == .ready, let expiresAt, expiresAt <= time else { return status }
        return .expired
    }

    /// The job after a change.
    func with(_ change: HistoryChange) -> HistoryJob {
        HistoryJob(
            id: id, owner: owner, round: round, status: change.status, fileIDs: fileIDs, options: options,
            createdAt: createdAt, updatedAt: change.at, expiresAt: change.expiresAt ?? expiresAt,
            archive: change.archive ?? archive, error: change.error, raises: raises, callback: callback)
    }
}

extension JobStore {
    /// Brings a record in line with the history, which wins: a job that is finished there is finished here, one whose
    /// archive is gone there is expired here, and one that was cancelled there is cancelled here, also when the history
    /// had missed that it failed.
    ///
    /// Nothing is done when the record is gone, as far already, or of another round.
    ///
    /// - Parameters:
    ///   - job: The job as the history has it.
    ///   - files: The results of its files as the history has them.
    /// - Throws: A ``FunctionKit/ClassifiedError`` of the store.
    func align(with job: HistoryJob, files: [HistoryFile]) async throws {
        guard let id = JobID(job.id), let current = try await load(id), current.round == job.round,
            var record = JobRecord(job, files: files, maxAttempts: current.maxAttempts), record.status.isFinished
        else { return }
        let states = Self.states(behind: record.status)
        guard states.contains(current.status) else { return }
        record.attempt = current.attempt
        var changed = Array(record.files.indices)
        if record.archive == nil || current.status == .ready {
            // The record saw each file; the history may have seen fewer of them when a worker was lost.
            record.files = current.files
            record.progress = current.progress
            if current.status != .ready { record.progress.secondsRemaining = nil }
            changed = []
        }
        // Refused means that someone else has finished it meanwhile, which is as good.
        _ = try await advance(
            &record, from: states, claim: .any, changed: changed, messages: JobMessage.ending(record.status))
    }

    /// The states in which a record does not know yet what the history says.
    static func states(behind status: JobStatus) -> Set<JobStatus> {
        switch status {
        case .expired: JobStatus.unfinished.union([.ready])
        case .cancelled: JobStatus.unfinished.union([.failed])
        case .ready, .failed: JobStatus.unfinished
        case .queued, .processing: []
        }
    }
}
