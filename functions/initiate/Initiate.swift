import Downloads
import FunctionKit

/// Accepts a download of several files and answers at once; a worker makes the archive.
struct Initiate: HTTPFunction {
    func handle(_ request: Request, _ context: Context) async throws -> Response {
        let wanted = try DownloadRequest(request, defaultPolicy: context.downloads.onMissing)
        let job = try await JobIntake(context).accept(wanted)
        var json = JSONWriter(capacity: 128)
        json.object { json in
            json.key("jobId")
            json.value(job.id.description)
            json.key("status")
            json.value(job.status.rawValue)
            json.key("totalFileIds")
            json.value(job.files.count)
        }
        var response = Response.json(encoded: json.buffer, status: .accepted)
        response.headers[.location] = "/v1/download/job/\(job.id)"
        response.headers[.retryAfter] = "1"
        return response
    }
}
