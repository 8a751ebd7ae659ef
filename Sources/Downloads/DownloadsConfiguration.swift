public import FunctionKit

/// The section `downloads` of the configuration; the host reads it and checks its bounds (see docs/configuration.md).
public struct DownloadsConfiguration: SettingsSection, Hashable {
    /// `sourceKey`: the key of a file in the bucket; `{file_id}` occurs in it.
    public var sourceKey = "downloads/{file_id}.zip"
    /// `archivePrefix`: the folder of the archives in the bucket; ends in `/`.
    public var archivePrefix = "archives/"
    /// `urlLifetime`: how long a URL for downloading is valid, 1 s to 7 days.
    public var presignedURLLifetime: Duration = .seconds(3_600)
    /// `archiveLifetime`: how long an archive can be fetched.
    public var archiveLifetime: Duration = .seconds(604_800)
    /// `recordRetention`: how long a job can be asked for; not shorter than ``archiveLifetime``.
    public var recordRetention: Duration = .seconds(2_592_000)
    /// `progressInterval`: the time between two reports within a file.
    public var progressInterval: Duration = .milliseconds(250)
    /// `partSize`: the smallest part of a multipart upload in bytes, at least 5 MiB; it grows with the archive so that
    /// 10 000 parts suffice.
    public var partBytes = 8 << 20
    /// `fetchAhead`: how many files are read at the same time.
    public var fetchAhead = 4
    /// `fetchAheadSize`: how many bytes wait in memory for their place in the archive.
    public var fetchAheadBytes = 32 << 20
    /// `fileTimeout`: how long one file may take without progress.
    public var fileTimeout: Duration = .seconds(60)
    /// `onMissing`: what happens to missing files when the request does not say.
    public var onMissing = MissingFilePolicy.skip
    /// `startDelay`: a delay of the synchronous `start`, to try slow downloads out.
    public var startDelay: Duration = .zero
    /// `attempts`: how often a job is tried in all.
    public var attempts = 3
    /// `retryDelay`: the time before the second attempt; it doubles each time.
    public var retryDelay: Duration = .seconds(2)
    /// `keepCompleted`: how long the queue keeps jobs that succeeded.
    public var keepCompleted: Duration = .seconds(3_600)
    /// `sweepGrace`: the age from which uploads and archives that no job names are cleared away.
    public var sweepGrace: Duration = .seconds(3_600)

    /// `idempotencyLifetime`: how long an `Idempotency-Key` is remembered.
    public var idempotencyLifetime: Duration = .seconds(86_400)
    /// `reconcileInterval`: the time between two looks for jobs that the queue has lost.
    public var reconcileInterval: Duration = .seconds(2)
    /// `reconcileAge`: so long after its last change an unfinished job is looked at.
    public var reconcileAge: Duration = .seconds(5)
    /// `reconcileLease`: how long a process that died keeps the others from looking. A look takes up to half of it.
    public var reconcileLease: Duration = .seconds(15)

    /// The defaults.
    public init() {}

    /// The key of a file in the bucket.
    public func sourceKey(for fileID: Int64) -> String {
        sourceKey.replacing("{file_id}", with: String(fileID))
    }

    /// The key of an archive. Each claim of each round has its own, so that no worker can overwrite another's result.
    func archiveKey(of job: JobRecord) -> String { ArchiveKey(job).text(prefix: archivePrefix) }

    /// Whether a job has ended so long ago that nobody is told of it any more.
    func isOver(_ job: HistoryJob, at time: Timestamp) -> Bool {
        !JobStatus.unfinished.names.contains(job.status) && job.updatedAt + recordRetention <= time
    }

    /// The bounds of the archive builder.
    var archivePolicy: ArchivePolicy {
        var policy = ArchivePolicy()
        policy.partSizeBytes = partBytes
        policy.maximumPartSizeBytes = max(policy.maximumPartSizeBytes, partBytes)
        policy.fetchAheadCount = fetchAhead
        policy.fetchAheadBytes = fetchAheadBytes
        policy.fileTimeout = fileTimeout
        policy.progressInterval = progressInterval
        return policy
    }
}
