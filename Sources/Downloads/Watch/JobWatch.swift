public import FunctionKit

/// Follows a job for one watcher, until the job's round is over.
///
/// It subscribes first and reads the job then, so nothing falls between the two, and drops the messages that the job's
/// `seq` covers. The numbers of what it gives strictly increase, also across watches that each begin where the one before
/// ended. Each `status`, `complete` and `error` is given or covered by a later `status`; `progress` may be merged.
///
/// Where messages may be missing it reads the job again. It costs nothing while nothing happens: no task, no timer. A watch
/// that begins while Redis is away begins with what the history tells, and goes on when Redis is back.
public struct JobWatch: Sendable {
    /// How long a watch bears that its stores are away.
    struct Patience: Sendable {
        var limit = Duration.seconds(30)
        var firstDelay = Duration.milliseconds(250)
        var longestDelay = Duration.seconds(4)
    }

    /// What does not change. It is large, and each function that waits would have a copy in its frame.
    private final class Source: Sendable {
        let id: JobID
        let context: Context
        let records: JobStore
        let subscription: any ChannelSubscription
        let patience: Patience

        init(_ id: JobID, _ context: Context, _ subscription: any ChannelSubscription, _ patience: Patience) throws {
            self.id = id
            self.context = context
            self.subscription = subscription
            self.patience = patience
            records = try context.jobStore
        }
    }

    private let source: Source
    private var last: Int64
    private var waiting = WatchBatch()
    private var isOver = false

    /// Begins to follow a job.
    ///
    /// - Parameters:
    ///   - id: The job.
    ///   - last: The highest number that the watcher has seen, 0 for none.
    ///   - context: What the host lends; not needed longer than the watch.
    /// - Throws: ``FunctionKit/HTTPError``: 404 for an unknown job, 503 when no Redis is configured. A store's error; that
    ///   Redis is away is none while the history answers.
    /// - Cancellation: throws `CancellationError`; nothing is left behind.
    public init(_ id: JobID, after last: Int64, _ context: Context) async throws {
        try await self.init(id, after: last, context, patience: Patience())
    }

    init(_ id: JobID, after last: Int64, _ context: Context, patience: Patience) async throws {
        self = try await Self.apart {
            let store = try context.bindings.keyValue
            let subscription: any ChannelSubscription
            do {
                subscription = try await store.listen(to: JobStore.channel(id))
            } catch let error as any ClassifiedError where error.isUnavailable {
                try Task.checkCancellation()
                subscription = LateSubscription(to: JobStore.channel(id), of: store, patience: patience)
            }
            var watch = JobWatch(try Source(id, context, subscription, patience), last)
            watch.take(try await context.downloadJob(id))
            return watch
        }
    }

    private init(_ source: Source, _ last: Int64) {
        self.source = source
        self.last = last
    }

    /// Whether the watcher has seen the end of the round already: ``next()`` gives nothing.
    public var isAtEnd: Bool { isOver && waiting.isEmpty }

    /// Whether ``next()`` gives something at once.
    public var hasMessages: Bool { !waiting.isEmpty }

    /// Waits for messages and gives all that have come since the last call, so that a slow watcher gets the newest.
    ///
    /// - Returns: At least one message, or `nil` at the end of the round.
    /// - Throws: A ``FunctionKit/ClassifiedError`` when stores were away for half a minute, or the subscription was lost
    ///   with its client: the watcher is to come back. ``FunctionKit/HTTPError`` 404 when the job is gone.
    /// - Cancellation: ends the watch and throws `CancellationError`.
    public mutating func next() async throws -> [WatchMessage]? {
        while waiting.isEmpty, !isOver {
            let elements = await source.subscription.next()
            guard !elements.isEmpty else {
                try Task.checkCancellation()
                throw DownloadsError(.watchLost, "the subscription has ended")
            }
            for element in elements {
                switch element {
                case .message(let json): take(json)
                case .gap: try await refresh()
                }
            }
        }
        return waiting.isEmpty ? nil : waiting.take()
    }

    private mutating func take(_ json: ByteBuffer) {
        guard !isOver else { return }
        guard let message = WatchMessage(published: json) else {
            source.context.logger.debug(
                "no message for watchers was published", metadata: ["job": "\(source.id)"])
            return
        }
        if message.seq > last {
            last = message.seq
            waiting.append(message)
        } else if JobRecord.round(of: message.seq) != JobRecord.round(of: last) {
            // The end of a round whose successor the watcher knows already is no end.
            return
        }
        isOver = message.isFinal
    }

    private mutating func take(_ record: JobRecord) {
        let now = Timestamp.now
        waiting.append(WatchMessage.snapshot(of: record, after: last, at: now))
        last = max(last, record.seq)
        isOver = record.status(at: now).isFinished
    }

    /// Does something in a task of its own. A task keeps the most memory that its calls have ever needed until it ends, and
    /// thousands of watches do nothing but wait.
    private static func apart<Output: Sendable>(
        _ body: @escaping @Sendable () async throws -> Output
    ) async throws -> Output {
        async let output = body()
        return try await output
    }

    /// Reads the job where messages may be missing. Mostly none is, and that takes one small command.
    private mutating func refresh() async throws {
        guard !isOver else { return }
        let deadline = ContinuousClock.now + source.patience.limit
        var delay = source.patience.firstDelay
        while true {
            do {
                let record = try await Self.apart { [source, last] in
                    try await source.records.isUnfinished(source.id, at: last)
                        ? nil : try await source.context.presentJob(source.id)
                }
                if let record { take(record) }
                return
            } catch let error as any ClassifiedError where error.isUnavailable {
                try Task.checkCancellation()
                // Thousands of watchers must not ask in step.
                let pause = delay * Double.random(in: 0.5...1)
                guard ContinuousClock.now + pause < deadline else { throw error }
                try await Task.sleep(for: pause)
                delay = min(delay * 2, source.patience.longestDelay)
            }
        }
    }
}
