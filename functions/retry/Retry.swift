import Downloads
import FunctionKit

/// Puts a job that failed, expired or was cancelled into the queue once more.
struct Retry: HTTPFunction {
    func handle(_ request: Request, _ context: Context) async throws -> Response {
        let job = try await JobRetry(context).retry(try request.jobID())
        var json = JSONWriter(capacity: 128)
        json.object { json in
            json.key("jobId")
            json.value(job.id.description)
            json.key("status")
            json.value(job.status.rawValue)
            json.key("message")
            json.value("The job was queued again.")
        }
        var response = Response.json(encoded: json.buffer, status: .accepted)
        response.headers[.location] = "/v1/download/job/\(job.id)"
        response.headers[.retryAfter] = "1"
        return response
    }
}
