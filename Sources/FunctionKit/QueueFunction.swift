/// A handler that does the work of one queue (`"on": "process"`).
///
/// Delivery is at least once: a job whose process dies is given to another worker. A handler that must act exactly once
/// guards its effects itself, for example by a compare-and-set on a record.
public protocol QueueFunction: Sendable {
    /// What the job's `data` JSON decodes to. Data that does not decode fails the job for good.
    associatedtype Payload: Decodable & Sendable
    /// The job's return value, stored as JSON. Use ``Nothing`` when there is none.
    associatedtype Output: Encodable & Sendable

    /// Makes the handler. Called once, when the module is loaded; it must not do work.
    init()

    /// Works one attempt of one job.
    ///
    /// - Parameters:
    ///   - job: The job with its decoded payload.
    ///   - context: What the host lends for this attempt; ``Context/progress(_:)`` reports progress.
    /// - Returns: The value stored as the job's result.
    /// - Throws: ``Permanent`` fails the job at once; ``RetryAfter`` asks for the next attempt after its delay; anything
    ///   else is a failed attempt that is tried again as the job's `attempts` and `backoff` say.
    /// - Cancellation: the task is cancelled when the manifest's `timeout` has passed, when the lock was lost to another
    ///   worker, and when the host's grace time ends.
    func process(_ job: QueueJob<Payload>, _ context: Context) async throws -> Output
}

/// One job as its worker sees it.
public struct QueueJob<Payload: Sendable>: Sendable {
    /// The job's id within its queue.
    public let id: String
    /// The job's name, as its producer gave it; it has no meaning for the queue.
    public let name: String
    /// The queue's name.
    public let queue: String
    /// The decoded `data`.
    public let payload: Payload
    /// Which attempt this is, from 1.
    public let attempt: Int
    /// How many attempts the job has in all, at least 1.
    public let maxAttempts: Int
    /// When the producer added the job.
    public let addedAt: Timestamp

    /// Makes a job; the host does so for each attempt, tests may.
    public init(
        id: String, name: String, queue: String, payload: Payload, attempt: Int, maxAttempts: Int, addedAt: Timestamp
    ) {
        self.id = id
        self.name = name
        self.queue = queue
        self.payload = payload
        self.attempt = attempt
        self.maxAttempts = maxAttempts
        self.addedAt = addedAt
    }

    /// The same job with another payload.
    package func map<Other: Sendable>(_ payload: Other) -> QueueJob<Other> {
        QueueJob<Other>(
            id: id, name: name, queue: queue, payload: payload, attempt: attempt, maxAttempts: maxAttempts,
            addedAt: addedAt)
    }
}

/// The empty result, `null` in JSON.
public struct Nothing: Codable, Sendable {
    /// Makes the empty value.
    public init() {}

    /// Reads any value as nothing.
    public init(from decoder: any Decoder) throws {}

    /// Writes `null`.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encodeNil()
    }
}
