import Downloads
import FunctionKit

/// Writes the results of files to the history while their job is being worked.
struct RecordProgress: EventFunction {
    func handle(_ event: QueueEvent, _ context: Context) async throws {
        // Other programs may report progress on this queue in a form of their own, such as a number.
        guard let report = try? event.decode(ProgressReport.self) else { return }
        try await JobEvents(context).record(report, of: event.jobID)
    }
}
