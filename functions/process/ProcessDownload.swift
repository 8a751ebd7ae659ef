import Downloads
import FunctionKit

/// Makes a job's archive: one attempt.
struct ProcessDownload: QueueFunction {
    func process(_ job: QueueJob<DownloadTask>, _ context: Context) async throws -> DownloadOutcome {
        var context = context
        if let requestID = job.payload.requestId { context.logger[metadataKey: "origin"] = "\(requestID)" }
        return try await DownloadWorker(context).work(job)
    }
}
