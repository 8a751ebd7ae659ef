import Downloads
import FunctionKit

/// Makes sure that a job whose worker succeeded is finished in history and record, with its archive's expiry.
///
/// The worker has done so itself, unless Redis or the history was away at that moment.
struct CompleteDownload: EventFunction {
    func handle(_ event: QueueEvent, _ context: Context) async throws {
        guard let outcome = try? event.decode(DownloadOutcome.self) else {
            context.logger.warning(
                "a job was completed with a result of another form", metadata: ["job": "\(event.jobID)"])
            return
        }
        try await JobEvents(context).complete(outcome, of: event.jobID)
    }
}
