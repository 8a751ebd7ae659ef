public import FunctionKit

/// Tells a receiver how a download has ended: one attempt.
///
/// The history says whether there is something to tell. Each attempt is counted there before it is made, so that there are
/// never more than the configuration allows, whatever becomes of the queue or of this process; its outcome follows. What
/// was overtaken, because the job has gone on meanwhile, is not told: it would not be so any more.
public struct CallbackDelivery: Sendable {
    /// How much later than an attempt's own end the reconciler looks: by then the queue has noticed a worker's death.
    private static let margin = Duration.seconds(20)
    private static let goneStatus = 410
    /// The answers whose `Retry-After` says when to come back (RFC 6585 section 4, RFC 9110 section 15.6.4).
    private static let waitingStatuses: Set<Int> = [429, 503]

    private let context: Context
    private let settings: CallbacksConfiguration
    private let history: any HistoryStore
    private let records: JobStore

    /// Makes a delivery.
    ///
    /// - Parameter context: What the host lends for the attempt.
    /// - Throws: ``FunctionKit/HTTPError`` 503 when a store is not configured.
    public init(_ context: Context) throws {
        self.context = context
        settings = context.bindings.settings()
        history = try context.bindings.history
        records = try context.jobStore
    }

    /// Makes the attempt.
    ///
    /// - Parameter job: The queue's job.
    /// - Returns: How the callback stands; also when there was nothing to do.
    /// - Throws: `Permanent` when it is given up, `RetryAfter` with the time until the next attempt. A store's error; the
    ///   attempt is then counted if it was made.
    /// - Cancellation: before the answer the attempt is counted, and the callback stays pending; an answer that has come is
    ///   written.
    public func deliver(_ job: QueueJob<CallbackTask>) async throws -> CallbackOutcome {
        // A job that somebody else has put into the queue must not be able to speak for another one.
        guard JobID(job.payload.jobId) != nil, let event = job.payload.event, event.id == job.id else {
            throw Permanent("The job's data names no callback.", class: .validation)
        }
        guard let row = try await history.find(event.jobID), let known = row.callback, row.round == event.round,
            try row.status(at: .now) == event.status,
            let url = DownloadOptions(json: row.options).callbackURL
        else { return .overtaken }
        var callback = known.standing(of: event)
        guard callback.state == .pending else { return CallbackOutcome(callback) }
        guard callback.attempts < settings.attempts else {
            return try await settle(callback, event, .failure(callback.error ?? "It was tried too often."))
        }
        callback.attempts += 1
        callback.nextAt = .now + (settings.timeout + Self.margin)
        guard try await history.record(callback, of: event.jobID) else { return .overtaken }
        let result = try await post(event, row, to: url, attempt: callback.attempts)
        // Owned by this call, which waits for it; it ends with the history's deadline. A task of its own, because what the
        // receiver has answered must be written.
        return try await Task { [callback] in try await settle(callback, event, result) }.value
    }

    /// What came of an attempt.
    private enum Result: Sendable {
        case answer(WebhookAnswer)
        /// Nothing came; a further attempt may do better.
        case silence(String)
        /// It is not to be tried again.
        case failure(String)
    }

    private func post(
        _ event: CallbackEvent, _ row: HistoryJob, to url: String, attempt: Int
    ) async throws -> Result {
        guard let webhooks = context.bindings.webhooks else {
            return .silence("The host has no secret to sign it with.")
        }
        do {
            let body = try await body(event, row)
            let message = WebhookMessage(url: url, id: event.id, attempt: attempt, body: body)
            return .answer(try await webhooks.post(message))
        } catch let error as CancellationError {
            throw error
        } catch {
            context.logger.notice(
                "a callback was not answered",
                metadata: ["callback": "\(event.id)", "attempt": "\(attempt)", "error": "\(error)"])
            guard let failure = error as? WebhookFailure else { return .silence("It could not be made.") }
            let text = Self.text(failure.reason)
            return failure.reason == .refused ? .failure(text) : .silence(text)
        }
    }

    /// What the owner may read; the detail may tell of the host's network.
    private static func text(_ reason: WebhookFailure.Reason) -> String {
        switch reason {
        case .refused: "The receiver's address is not one that is called."
        case .unknownName: "The receiver's name is not known."
        case .unreachable: "The receiver could not be reached."
        case .untrusted: "The receiver's certificate is not trusted, or TLS failed."
        case .timeout: "The receiver did not answer in time."
        case .broken: "The receiver gave no whole answer."
        }
    }

    private func settle(
        _ callback: HistoryCallback, _ event: CallbackEvent, _ result: Result
    ) async throws -> CallbackOutcome {
        var callback = callback
        callback.nextAt = nil
        var isLast = callback.attempts >= settings.attempts
        var wanted: Duration?
        let problem: String
        switch result {
        case .answer(let answer):
            callback.answer = answer.status
            if (200..<300).contains(answer.status) {
                callback.state = .delivered
                callback.deliveredAt = .now
                callback.error = nil
                _ = try await history.record(callback, of: event.jobID)
                return CallbackOutcome(callback)
            }
            problem = "The receiver answered \(answer.status)."
            isLast = isLast || answer.status == Self.goneStatus
            if Self.waitingStatuses.contains(answer.status) { wanted = answer.retryAfter }
        case .silence(let text):
            callback.answer = nil
            problem = text
        case .failure(let text):
            callback.answer = nil
            problem = text
            isLast = true
        }
        callback.error = problem
        let delay = settings.delay(after: callback.attempts, wanted: wanted, jitter: .random(in: 0...1))
        if isLast { callback.state = .failed } else { callback.nextAt = .now + delay }
        guard try await history.record(callback, of: event.jobID) else { return .overtaken }
        if isLast { throw Permanent(problem, class: .network) }
        throw RetryAfter(delay, problem, class: .network)
    }

    /// The message's body.
    private func body(_ event: CallbackEvent, _ row: HistoryJob) async throws -> ByteBuffer {
        let now = Timestamp.now
        let job = try await record(of: row)
        let link = try job.archive.flatMap { archive in
            event.status == .ready ? try ArchiveLink(job, archive, context, at: now) : nil
        }
        var writer = JSONWriter(capacity: 1024 + job.files.count * 64)
        writer.object { writer in
            writer.key("id")
            writer.value(event.id)
            writer.key("type")
            writer.value(event.status.rawValue)
            writer.key("jobId")
            writer.value(event.jobID)
            writer.key("timestamp")
            writer.value(now.rfc3339)
            writer.key("job")
            job.write(to: &writer, at: now)
            link?.writeMembers(to: &writer)
        }
        return writer.buffer
    }

    /// The job as those who ask see it; the record knows more than the history, where it is as far and Redis is not away.
    private func record(of row: HistoryJob) async throws -> JobRecord {
        if let id = JobID(row.id), let record = try? await records.load(id), record.round == row.round,
            record.status.rawValue == row.status
        {
            return record
        }
        let files = try await history.files(of: row.id)
        guard let record = JobRecord(row, files: files, maxAttempts: context.downloads.attempts) else {
            throw DownloadsError(.corruptRecord, "the history's row is none of a download job")
        }
        return record
    }
}
