/// What the host lends to one invocation. A function reaches nothing else.
///
/// A store that the configuration does not name is absent: asking for it throws, and the caller gets 503.
public struct Context: Sendable {
    /// A logger that carries function, request or job id, and attempt.
    public var logger: Logger
    /// The function's name: its folder's.
    public let function: String
    /// The request's id, carried on into queued jobs.
    public let requestID: String
    /// When the manifest's `timeout` ends.
    public let deadline: ContinuousClock.Instant
    /// The attempt of a queue job, from 1; 1 for everything else.
    public let attempt: Int
    /// The W3C trace context that came with the request or job, verbatim, or `nil`.
    public let traceParent: String?
    /// Who calls, or `nil` for nobody known; ``User/local`` for queue, event and scheduled functions.
    public let user: User?
    /// The stores.
    public let bindings: Bindings
    private let reportProgress: (@Sendable (String) async throws -> Void)?

    /// Makes a context; the host does so for each invocation, tests may. `reportProgress` takes progress as JSON text
    /// and is `nil` outside queue jobs.
    public init(
        logger: Logger, function: String, requestID: String, deadline: ContinuousClock.Instant, attempt: Int = 1,
        traceParent: String? = nil, user: User? = nil, bindings: Bindings,
        reportProgress: (@Sendable (String) async throws -> Void)? = nil
    ) {
        self.logger = logger
        self.function = function
        self.requestID = requestID
        self.deadline = deadline
        self.attempt = attempt
        self.traceParent = traceParent
        self.user = user
        self.bindings = bindings
        self.reportProgress = reportProgress
    }

    /// The time left until ``deadline``, not negative.
    public var remaining: Duration { max(.zero, deadline - .now) }

    /// Stores the job's progress and tells the queue's listeners. Outside a queue job it does nothing.
    ///
    /// - Parameter value: Anything that encodes to JSON.
    /// - Throws: `EncodingError`, or the queue's error when the job is gone or Redis is away.
    public func progress(_ value: some Encodable & Sendable) async throws {
        guard let reportProgress else { return }
        try await reportProgress(try JSON.text(value))
    }

    /// Reports progress that is JSON text already.
    package func report(_ json: String) async throws { try await reportProgress?(json) }
}

/// The stores and settings that the configuration grants.
public struct Bindings: Sendable {
    private let keyValueStore: (any KeyValueStore)?
    private let objectStore: (any ObjectStore)?
    private let historyStore: (any HistoryStore)?
    private let queueProvider: (any QueueProvider)?
    private let ticketIssuer: (any TicketIssuer)?
    /// What calls receivers of webhooks; `nil` where the host has no secret to sign with.
    public let webhooks: (any WebhookClient)?
    private let settings: Settings

    /// Collects what the configuration grants; what is `nil` is absent.
    public init(
        keyValue: (any KeyValueStore)? = nil, objects: (any ObjectStore)? = nil, history: (any HistoryStore)? = nil,
        queues: (any QueueProvider)? = nil, tickets: (any TicketIssuer)? = nil,
        webhooks: (any WebhookClient)? = nil, settings: Settings = Settings()
    ) {
        keyValueStore = keyValue
        objectStore = objects
        historyStore = history
        queueProvider = queues
        ticketIssuer = tickets
        self.webhooks = webhooks
        self.settings = settings
    }

    /// Redis.
    public var keyValue: any KeyValueStore {
        get throws { try granted(keyValueStore, "redis") }
    }

    /// The S3-compatible store.
    public var objects: any ObjectStore {
        get throws { try granted(objectStore, "storage") }
    }

    /// The durable history.
    public var history: any HistoryStore {
        get throws { try granted(historyStore, "history") }
    }

    /// The queue of that name, for adding jobs.
    public func queue(_ name: String) throws -> any JobQueue {
        try granted(queueProvider, "queue").queue(name)
    }

    /// What makes tickets.
    public var tickets: any TicketIssuer {
        get throws { try granted(ticketIssuer, "ticket key") }
    }

    /// The settings of a domain library, by type; its defaults when the configuration names none.
    public func settings<Value: SettingsSection>(_ type: Value.Type = Value.self) -> Value {
        settings[type]
    }

    private func granted<Store>(_ store: Store?, _ name: String) throws -> Store {
        guard let store else {
            throw HTTPError(.serviceUnavailable, message: "No \(name) is configured for this process.")
        }
        return store
    }
}
