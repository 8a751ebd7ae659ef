internal import FunctionKit

/// The return value of a queue's job: how the download stood when its worker was done.
public struct DownloadOutcome: Codable, Sendable, Hashable {
    /// The archive.
    public struct Archive: Codable, Sendable, Hashable {
        /// Its key in the object store.
        public let key: String
        /// Its size in bytes.
        public let size: Int64
        /// CRC-32 of the whole archive.
        public let crc32: UInt32
    }

    /// The job's status; a worker that lost the job to another tells what it found.
    public let status: JobStatus?
    /// The round that was worked.
    public let round: Int
    /// The archive of a job that is ready.
    public let archive: Archive?
    /// When the archive goes, milliseconds since 1970.
    public let expiresAt: Int64?

    init(status: JobStatus?, round: Int, archive: HistoryArchive? = nil, expiresAt: Timestamp? = nil) {
        self.status = status
        self.round = round
        self.archive = archive.map { Archive(key: $0.key, size: $0.sizeBytes, crc32: $0.crc32) }
        self.expiresAt = expiresAt?.milliseconds
    }

    init(_ job: HistoryJob) {
        self.init(
            status: JobStatus(rawValue: job.status), round: job.round, archive: job.archive, expiresAt: job.expiresAt)
    }
}
