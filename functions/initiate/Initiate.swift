import Downloads
import FunctionKit

/// Accepts a download of several files and answers at once; a worker makes the archive. The same request sent again with
/// the same `Idempotency-Key` gets the same answer.
struct Initiate: HTTPFunction {
    func handle(_ request: Request, _ context: Context) async throws -> Response {
        let wanted = try DownloadRequest(
            request, defaultPolicy: context.downloads.onMissing, webhooks: context.bindings.webhooks)
        let job = try await JobIntake(context).accept(wanted, key: try request.idempotencyKey())
        var json = JSONWriter(capacity: 128)
        json.object { json in
            json.key("jobId")
            json.value(job.id.description)
            json.key("status")
            json.value(JobStatus.queued.rawValue)
            json.key("totalFileIds")
            json.value(job.fileCount)
        }
        var response = Response.json(encoded: json.buffer, status: .accepted)
        response.headers[.location] = "/v1/download/job/\(job.id)"
        response.headers[.retryAfter] = "1"
        return response
    }
}
