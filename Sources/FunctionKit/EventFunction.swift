/// A handler for a queue's events (`"on": "progress"`, `"completed"` or `"failed"`): a side effect of work done elsewhere.
///
/// Events arrive at least once and may be repeated after a crash, so a handler must be idempotent. Progress events may be
/// coalesced or lost; `completed` and `failed` are not.
public protocol EventFunction: Sendable {
    /// Makes the handler. Called once, when the module is loaded; it must not do work.
    init()

    /// Handles one event. When it throws, the event is delivered again later, a bounded number of times.
    ///
    /// - Parameters:
    ///   - event: The event.
    ///   - context: What the host lends for this invocation.
    /// - Throws: Any error; it is logged, and the event is delivered again.
    /// - Cancellation: as in ``QueueFunction/process(_:_:)``.
    func handle(_ event: QueueEvent, _ context: Context) async throws
}

/// Something that happened to a job of a queue.
public struct QueueEvent: Sendable {
    /// What happened.
    public enum Kind: String, Sendable, CaseIterable {
        /// The worker reported progress; ``QueueEvent/data`` is what it reported, as JSON.
        case progress
        /// The job succeeded; ``QueueEvent/data`` is its return value, as JSON.
        case completed
        /// The job failed for good; ``QueueEvent/data`` is the reason, plain text.
        case failed
    }

    /// What happened.
    public let kind: Kind
    /// The queue's name.
    public let queue: String
    /// The job's id.
    public let jobID: String
    /// Progress or return value as JSON text, or the reason of the failure as plain text.
    public let data: String
    /// When it happened, by the clock of the queue's server or of the job's worker.
    public let at: Timestamp

    /// Makes an event; the host does so for each entry of the queue's stream, tests may.
    public init(kind: Kind, queue: String, jobID: String, data: String, at: Timestamp = .now) {
        self.kind = kind
        self.queue = queue
        self.jobID = jobID
        self.data = data
        self.at = at
    }

    /// Decodes ``data`` of a `progress` or `completed` event.
    ///
    /// - Throws: ``HTTPError`` with code `malformed_json` or `validation_failed` when the text does not decode.
    public func decode<Value: Decodable>(_ type: Value.Type = Value.self) throws -> Value {
        try JSON.decode(type, from: data)
    }
}
