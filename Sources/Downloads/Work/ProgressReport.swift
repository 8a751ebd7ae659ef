internal import FunctionKit

/// What a worker reports to its queue: how far it is, and the files that were finished since the last report.
public struct ProgressReport: Codable, Sendable, Hashable {
    /// What became of one file.
    public struct File: Codable, Sendable, Hashable {
        /// The file's id.
        public let fileID: Int64
        /// Its place in the order asked for, from 0.
        public let position: Int
        /// Whether the archive holds it.
        public let status: ArchivedFile.Status
        /// Its key in the object store.
        public let key: String
        /// Its size in bytes, where it is known.
        public let size: Int64?
        /// CRC-32 of its bytes, when it was archived.
        public let crc32: UInt32?
        /// Why it was left out.
        public let error: String?

        init(_ file: ArchivedFile) {
            fileID = file.fileID
            position = file.position
            status = file.status
            key = file.key
            size = file.sizeBytes
            crc32 = file.crc32
            error = file.error.map(JobFailure.line)
        }

        /// The result as the history keeps it.
        func historyFile(at time: Timestamp) -> HistoryFile {
            HistoryFile(
                fileID: fileID, position: position, status: status.rawValue, key: key, sizeBytes: size, crc32: crc32,
                error: error, processedAt: time)
        }
    }

    /// One report has at most so many files; the others are in the next one.
    static let maxFiles = 100

    /// The round.
    public let round: Int
    /// Files that are done.
    public let current: Int
    /// Files in all.
    public let total: Int
    /// 0 to 100.
    public let percentage: Double
    /// The files that were finished since the last report.
    public let files: [File]

    init(_ record: JobRecord, files: [File]) {
        round = record.round
        current = record.progress.current
        total = record.progress.total
        percentage = Double(record.progress.permille) / 10
        self.files = files
    }
}
