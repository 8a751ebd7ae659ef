import Downloads
import FunctionKit

/// Gives a job up: one that is not finished is cancelled, of one that is ready the archive is deleted.
struct Cancel: HTTPFunction {
    func handle(_ request: Request, _ context: Context) async throws -> Response {
        let id = try request.jobID()
        let status = try await JobCancellation(context).cancel(id)
        var json = JSONWriter(capacity: 96)
        json.object { json in
            json.key("jobId")
            json.value(id.description)
            json.key("status")
            json.value(status.rawValue)
        }
        return .json(encoded: json.buffer, status: .accepted)
    }
}
