import Downloads
import FunctionKit

/// Gives a presigned URL of a job's archive. It ends with the archive, if that is sooner than its usual lifetime.
struct DownloadURL: HTTPFunction {
    func handle(_ request: Request, _ context: Context) async throws -> Response {
        let job = try await context.downloadJob(try request.jobID())
        let now = Timestamp.now
        let status = job.status(at: now)
        if status == .expired { throw HTTPError(.gone, message: "The archive has expired.") }
        guard status == .ready, let archive = job.archive else {
            throw HTTPError(
                .conflict, code: "not_ready", message: "The job is \(status.rawValue), not ready.",
                headers: status.isFinished ? [:] : [.retryAfter: "1"])
        }
        let objects = try context.bindings.objects
        let archiveSeconds = job.expiresAt.map { ($0.milliseconds - now.milliseconds) / 1000 } ?? .max
        let seconds = max(1, min(context.downloads.presignedURLLifetime.components.seconds, archiveSeconds))
        let url = try objects.presignedURL(for: archive.key, expiresIn: .seconds(seconds), fileName: job.archiveName)
        let digits = String(archive.crc32, radix: 16)
        var json = JSONWriter(capacity: 1024)
        json.object { json in
            json.key("jobId")
            json.value(job.id.description)
            json.key("downloadUrl")
            json.value(url)
            json.key("expiresIn")
            json.value(Int(seconds))
            json.key("fileSize")
            json.value(Int(archive.sizeBytes))
            json.key("bucket")
            json.value(objects.bucket)
            json.key("checksum")
            json.object { json in
                json.key("algorithm")
                json.value("crc32")
                json.key("value")
                json.value(String(repeating: "0", count: 8 - digits.count) + digits)
            }
        }
        var response = Response.json(encoded: json.buffer)
        response.headers[.cacheControl] = "no-store"
        return response
    }
}
