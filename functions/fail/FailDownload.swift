import Downloads
import FunctionKit

/// Makes sure that a job that the queue has given up is closed in history and record.
///
/// Its worker has done so itself, unless it was lost once too often or a store was away at that moment.
struct FailDownload: EventFunction {
    func handle(_ event: QueueEvent, _ context: Context) async throws {
        try await JobEvents(context).fail(event.data, of: event.jobID, at: event.at)
    }
}
