internal import FunctionKit

/// What a job of the queue of callbacks carries. The receiver's URL is not in it: it is in the history.
public struct CallbackTask: Codable, Sendable, Hashable {
    /// The queue of the callbacks.
    public static let queue = "callbacks"
    /// The jobs' name in the queue.
    static let name = "callback"

    /// The download's id.
    public let jobId: String
    /// The round that is told of.
    public let round: Int
    /// The status that is told.
    public let status: JobStatus
    /// The id of the request or event that queued it, for logs.
    public let requestId: String?

    init(_ event: CallbackEvent, requestID: String) {
        jobId = event.jobID
        round = event.round
        status = event.status
        requestId = requestID
    }

    /// What is told; `nil` when the data is none of Ferry's.
    var event: CallbackEvent? { CallbackEvent(jobID: jobId, round: round, status: status) }
}

/// The return value of a callback's job in the queue.
public struct CallbackOutcome: Codable, Sendable, Hashable {
    /// How the callback stands; `overtaken` when the job has gone on, so that there was nothing to tell any more.
    public let status: String
    /// The receiver's status code.
    public let answer: Int?

    static let overtaken = CallbackOutcome(status: "overtaken", answer: nil)

    init(status: String, answer: Int?) {
        self.status = status
        self.answer = answer
    }

    init(_ callback: HistoryCallback) { self.init(status: callback.state.rawValue, answer: callback.answer) }
}
