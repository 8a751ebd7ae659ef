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
        let link = try ArchiveLink(job, archive, context, at: now)
        var json = JSONWriter(capacity: 1024)
        json.object { json in
            json.key("jobId")
            json.value(job.id.description)
            link.writeMembers(to: &json)
        }
        var response = Response.json(encoded: json.buffer)
        response.headers[.cacheControl] = "no-store"
        return response
    }
}
