internal import FunctionKit

/// Something that is told about a job: its status in a round, in which the round has ended.
struct CallbackEvent: Sendable, Hashable {
    let jobID: String
    let round: Int
    let status: JobStatus

    /// - Returns: `nil` for a status in which the round goes on.
    init?(jobID: String, round: Int, status: JobStatus) {
        guard status.isFinished else { return nil }
        self.jobID = jobID
        self.round = round
        self.status = status
    }

    /// The name of what is told, by which the queue and the receiver know one that comes twice.
    var id: String { "\(jobID)-\(round)-\(status.rawValue)" }
}

extension HistoryJob {
    /// What is to be told about the job as it stands; `nil` when nobody wants to know, when it has not ended, and when it
    /// was told.
    var dueCallback: CallbackEvent? {
        guard let callback, let status = JobStatus(rawValue: status),
            let event = CallbackEvent(jobID: id, round: round, status: status),
            callback.state == .pending || !callback.tells(event)
        else { return nil }
        return event
    }
}

extension HistoryCallback {
    /// Whether it is of that event, not of one before.
    func tells(_ event: CallbackEvent) -> Bool { round == event.round && about == event.status.rawValue }

    /// How it stands with an event: as it is, or as one that was not begun.
    func standing(of event: CallbackEvent) -> HistoryCallback {
        tells(event) ? self : HistoryCallback(round: event.round, about: event.status.rawValue)
    }
}
