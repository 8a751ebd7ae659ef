internal import FunctionKit

/// Keeps the record of one attempt up to date while its archive is made.
///
/// The builder calls in turn and waits, so the record follows the work and cannot fall behind it. What could not be
/// written because Redis was away is kept and goes with the next change. A refused change means that the job belongs to
/// someone else now; the error thrown then ends the attempt.
actor AttemptReporter {
    /// The least time between two reports to the queue; each of them costs a write to the history.
    private static let queueInterval = Duration.seconds(1)

    private(set) var record: JobRecord
    /// What became of the files so far, in the order asked for.
    private(set) var results: [ProgressReport.File] = []
    /// Why a change was refused, once one was.
    var refusal: JobStore.Refusal?

    let records: JobStore
    let context: Context
    private let startedAt = ContinuousClock.now
    private var meter: ProgressMeter
    private var totalBytes: Int64?
    private var finishedBytes: Int64 = 0
    private var unsent: [Int] = []
    private var unreported = 0
    private var lastReport = ContinuousClock.now

    /// Follows an attempt whose record the worker has claimed.
    init(_ record: JobRecord, records: JobStore, context: Context) {
        self.record = record
        self.records = records
        self.context = context
        meter = ProgressMeter(files: record.files.count)
    }

    /// What the builder is to tell.
    nonisolated var callbacks: ArchiveCallbacks {
        ArchiveCallbacks(
            onPlanned: { bytes in try await self.planned(bytes) },
            onUploadBegun: { id in try await self.uploadBegun(id) },
            onFileFinished: { file in try await self.finished(file) },
            onProgress: { bytes in try await self.progressed(bytes) })
    }

    /// Writes what is unsent, and learns whether the job is still this worker's.
    ///
    /// - Throws: ``DownloadsError`` with code `lostClaim`. That Redis is away is no reason to give up.
    func confirm() async throws { try await send() }

    private func planned(_ bytes: Int64) async throws {
        totalBytes = bytes
        try await progress(bytes: 0)
    }

    private func uploadBegun(_ id: String) async throws {
        record.upload = ObjectUpload(key: context.downloads.archiveKey(of: record), id: id)
        try await send()
    }

    private func progressed(_ bytes: Int64) async throws { try await progress(bytes: bytes) }

    private func finished(_ file: ArchivedFile) async throws {
        let result = ProgressReport.File(file)
        results.append(result)
        record.files[file.position] = JobFile(
            id: file.fileID, state: file.status == .completed ? .completed : .failed, sizeBytes: file.sizeBytes,
            error: result.error)
        unsent.append(file.position)
        if file.status == .completed {
            finishedBytes += file.sizeBytes ?? 0
        } else if let size = file.sizeBytes, let total = totalBytes {
            // It was counted when it was there; it will not come.
            totalBytes = max(total - size, 0)
        }
        try await progress(bytes: finishedBytes)
        await report()
    }

    private func progress(bytes: Int64) async throws {
        meter.update(
            completedFiles: results.count, bytes: bytes, totalBytes: totalBytes, elapsed: .now - startedAt)
        record.progress = meter.progress
        try await send()
    }

    private func send() async throws {
        record.updatedAt = .now
        let changed = unsent
        var next = record
        do {
            switch try await records.advance(
                &next, from: [.processing], claim: .held(record.claim), changed: changed, messages: [.progress])
            {
            case .done(let seq, _):
                record.seq = seq
                unsent.removeFirst(changed.count)
            case .refused(let refusal):
                self.refusal = refusal
                throw DownloadsError(.lostClaim, "the job is \(refusal.status?.rawValue ?? "gone") now")
            }
        } catch let error as any ClassifiedError where error.isUnavailable {
            context.logger.warning(
                "the record could not be written; the work goes on", metadata: ["error": "\(error)"])
        }
    }

    /// Tells the queue, whose listeners write the history. Best effort: the last word is the worker's own.
    private func report() async {
        guard .now - lastReport >= Self.queueInterval else { return }
        lastReport = .now
        let files = results[unreported...].prefix(ProgressReport.maxFiles)
        do {
            try await context.progress(ProgressReport(record, files: Array(files)))
            unreported += files.count
        } catch {
            context.logger.debug("progress could not be reported", metadata: ["error": "\(error)"])
        }
    }
}
