public import FunctionKit
internal import ZipArchive

/// Gathers files of the object store into one ZIP archive there.
///
/// The files are asked for first (``ArchivePlan``), then each passes through memory once, in the order asked for, into
/// the parts of a multipart upload. Small coming files are fetched ahead while others stream.
///
/// A transfer that breaks off goes on where it stopped, if the file has still the same entity tag; a file that changed
/// or came damaged is begun again, and the archive's parts that it had touched are replaced. A file that fails for good
/// ends the attempt, unless it is the last one and files may be left out. What is finished is verified: the store must
/// hold an object of the archive's size, and of its checksum where it keeps one.
public struct ArchiveBuilder: Sendable {
    private let store: any ObjectStore
    private let policy: ArchivePolicy
    private let logger: Logger

    /// Makes a builder on a store.
    public init(store: any ObjectStore, policy: ArchivePolicy = ArchivePolicy(), logger: Logger) {
        self.store = store
        self.policy = policy
        self.logger = logger
    }

    /// Makes the archive.
    ///
    /// - Parameters:
    ///   - request: The files and where they go.
    ///   - callbacks: What is told meanwhile.
    /// - Returns: The archive and what became of each file.
    /// - Throws: `Permanent` when no file can be had, when one is missing that may not be left out, and when the archive
    ///   would be too large; ``ArchiveError``, the store's error or a callback's when this attempt failed. Nothing is
    ///   left behind: the upload is aborted, an object that may have been written is deleted. Where that fails too, it
    ///   is logged and left to the sweeper.
    /// - Cancellation: gives the upload up, with the same cleaning, and throws `CancellationError` or the error that the
    ///   cancelled operation gave.
    public func build(
        _ request: ArchiveRequest, callbacks: ArchiveCallbacks = ArchiveCallbacks()
    ) async throws -> ArchiveResult {
        let plan = try await ArchivePlan.survey(request, store: store, concurrency: policy.fetchAheadCount)
        if let failure = plan.failure(request.onMissing) {
            for file in plan.absent { try await callbacks.onFileFinished(file) }
            throw failure
        }
        guard let partSizeBytes = policy.partSizeBytes(forArchiveOf: plan.archiveBytes) else {
            throw Permanent("The archive would be too large.", class: .validation)
        }
        try await callbacks.onPlanned(plan.totalBytes)
        let run = ArchiveRun(
            request: request, plan: plan, store: store, policy: policy, callbacks: callbacks,
            partSizeBytes: partSizeBytes)
        do {
            return try await withThrowingTaskGroup(of: ArchiveRun.Event.self) { group in
                try await run.execute(in: &group)
            }
        } catch {
            await clean(upload: run.upload, key: run.mayHaveObject ? request.key : nil)
            if let error = error as? ZipError {
                // What the sources can cause was handled file by file: this one is the archive's size.
                throw Permanent(error.message, class: .validation)
            }
            throw error
        }
    }

    private func clean(upload: ObjectUpload?, key: String?) async {
        // Ended before this call returns. A task of its own, because the current one may be cancelled.
        await Task {
            if let upload {
                do {
                    try await store.abortUpload(upload)
                } catch {
                    logger.warning(
                        "An upload could not be aborted; the sweeper will.",
                        metadata: ["key": "\(upload.key)", "upload": "\(upload.id)", "error": "\(error)"])
                }
            }
            if let key {
                do {
                    try await store.delete(key)
                } catch {
                    logger.warning(
                        "A failed archive could not be deleted; the sweeper will.",
                        metadata: ["key": "\(key)", "error": "\(error)"])
                }
            }
        }.value
    }
}
