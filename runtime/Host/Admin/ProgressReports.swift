internal import FunctionKit
internal import Synchronization

/// What a job's handler reported while it was called by hand: the first so many reports, as JSON texts.
final class ProgressReports: Sendable {
    private let limit: Int
    private let reports = Mutex<[String]>([])

    init(limit: Int) { self.limit = limit }

    func add(_ json: String) {
        reports.withLock { if $0.count < limit { $0.append(json) } }
    }

    /// Writes the member `progress` when there was any.
    func write(to json: inout JSONWriter) {
        let reports = reports.withLock { $0 }
        guard !reports.isEmpty else { return }
        json.key("progress")
        json.array { json in
            for report in reports { json.raw(report) }
        }
    }
}
