public import FunctionKit

/// A presigned URL of a job's archive. It ends with the archive, if that is sooner than its usual lifetime.
public struct ArchiveLink: Sendable {
    /// The URL.
    public let url: String
    /// For how long it is valid, whole seconds, at least 1.
    public let seconds: Int
    private let archive: HistoryArchive
    private let bucket: String

    /// Makes the URL of a job that is ready.
    ///
    /// - Parameters:
    ///   - job: The job.
    ///   - archive: Its archive.
    ///   - context: What the host lends.
    ///   - time: The time now.
    /// - Throws: ``FunctionKit/HTTPError`` 503 when no store is configured; the store's error when it has no credentials.
    public init(_ job: JobRecord, _ archive: HistoryArchive, _ context: Context, at time: Timestamp) throws {
        let objects = try context.bindings.objects
        let archiveSeconds = job.expiresAt.map { ($0.milliseconds - time.milliseconds) / 1000 } ?? .max
        seconds = Int(max(1, min(context.downloads.presignedURLLifetime.components.seconds, archiveSeconds)))
        url = try objects.presignedURL(for: archive.key, expiresIn: .seconds(seconds), fileName: job.archiveName)
        bucket = objects.bucket
        self.archive = archive
    }

    /// Writes the members of an object that tell of the archive.
    public func writeMembers(to writer: inout JSONWriter) {
        let digits = String(archive.crc32, radix: 16)
        writer.key("downloadUrl")
        writer.value(url)
        writer.key("expiresIn")
        writer.value(seconds)
        writer.key("fileSize")
        writer.value(Int(archive.sizeBytes))
        writer.key("bucket")
        writer.value(bucket)
        writer.key("checksum")
        writer.object { writer in
            writer.key("algorithm")
            writer.value("crc32")
            writer.key("value")
            writer.value(String(repeating: "0", count: 8 - digits.count) + digits)
        }
    }
}
