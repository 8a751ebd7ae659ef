internal import FunctionKit
internal import NIOCore

/// What the queue's job carries: which job to work. All else is in the record.
public struct DownloadTask: Codable, Sendable, Hashable {
    /// The queue of the jobs.
    public static let queue = "file-downloads"
    /// The jobs' name in the queue.
    static let name = "download"

    /// The job's id.
    public let jobId: String
    /// The round for which the job was queued.
    public let round: Int
    /// How many files it has, for those who look at the queue.
    public let totalFiles: Int?
    /// The id of the request that made it, for logs.
    public let requestId: String?

    init(_ record: JobRecord, requestID: String) {
        jobId = record.id.description
        round = record.round
        totalFiles = record.files.count
        requestId = requestID
    }

    /// The task as JSON text.
    var json: String {
        var writer = JSONWriter(capacity: 160)
        writer.object { writer in
            writer.key("jobId")
            writer.value(jobId)
            writer.key("round")
            writer.value(round)
            writer.key("totalFiles")
            writer.value(totalFiles)
            writer.key("requestId")
            writer.value(requestId)
        }
        return String(buffer: writer.buffer)
    }
}
