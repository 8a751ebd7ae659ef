public import FunctionKit

/// Gives up a job: one that is not finished is cancelled, of one that is ready the archive is deleted.
///
/// The history decides, against the worker that finishes the job and against other callers. Record, queue and archive
/// follow as far as their stores answer; a worker looks at its job twice a second and stops. Without Redis it asks the
/// history, and the ``Reconciler`` tells the record when Redis is back.
public struct JobCancellation: Sendable {
    /// Each turn that fails means that somebody else has changed the job, and a round has few changes.
    private static let turns = 8

    private let stores: JobStores
    private let context: Context

    /// Makes a cancellation.
    ///
    /// - Parameter context: What the host lends.
    /// - Throws: ``FunctionKit/HTTPError`` 503 when a store is not configured.
    public init(_ context: Context) throws {
        stores = try JobStores(context)
        self.context = context
    }

    /// Gives the job up.
    ///
    /// - Parameter id: The job.
    /// - Returns: ``JobStatus/cancelled``, or ``JobStatus/expired`` for a job that was ready.
    /// - Throws: ``FunctionKit/HTTPError``: 404 for an unknown job, 409 when it has failed, expired or was cancelled
    ///   already. A store's error before the history's commit, or when its outcome is unknown.
    /// - Cancellation: a call that has begun to change the job goes on.
    public func cancel(_ id: JobID) async throws -> JobStatus {
        try Task.checkCancellation()
        // Owned by this call, which waits for it; it ends with the stores' deadlines. A task of its own, so that what the
        // history says is also told to the record.
        return try await Task { try await end(id) }.value
    }

    private func end(_ id: JobID) async throws -> JobStatus {
        for _ in 0..<Self.turns {
            let job = try await stores.job(id)
            let now = Timestamp.now
            let status = try job.status(at: now)
            switch status {
            case .queued, .processing:
                let end = HistoryChange(status: JobStatus.cancelled.rawValue, at: now)
                guard let ended = try await stores.change(job, from: JobStatus.unfinished, to: end) else { continue }
                await FollowUp {
                    await align(ended)
                    await withdraw(job)
                    await stores.outbox.announce(ended)
                }.wait()
                return .cancelled
            case .ready:
                let end = HistoryChange(status: JobStatus.expired.rawValue, at: now)
                guard let ended = try await stores.change(job, from: [.ready], to: end) else { continue }
                let telling = FollowUp {
                    await align(ended)
                    await stores.outbox.announce(ended)
                }
                if let archive = job.archive { await stores.discard(archive) }
                await telling.wait()
                return .expired
            case .failed, .expired, .cancelled:
                // Redis may have been away when it came to that.
                await FollowUp { await align(job) }.wait()
                throw HTTPError(.conflict, code: "wrong_state", message: "The job is \(status.rawValue) already.")
            }
        }
        throw HTTPError(
            .conflict, code: "wrong_state", message: "The job is changing; please try again.",
            headers: [.retryAfter: "1"])
    }

    /// Tells the record, and by it the worker and all who watch.
    private func align(_ job: HistoryJob) async {
        do {
            try await stores.records.align(with: job, files: try await stores.history.files(of: job.id))
        } catch {
            // The reconciler does it, or a worker who finds the job finished in the history.
            context.logger.warning(
                "the record of a job that was given up could not be written",
                metadata: ["job": "\(job.id)", "error": "\(error)"])
        }
    }

    /// Takes the job out of the queue, unless a worker holds it or a retry has queued it anew. Best effort: a worker that
    /// gets it finds nothing to do.
    private func withdraw(_ job: HistoryJob) async {
        do {
            guard let queued = try await stores.queue.find(job.id), queued.state == .waiting || queued.state == .stray,
                let task = try? JSON.decode(DownloadTask.self, from: queued.data), task.round <= job.round
            else { return }
            _ = try await stores.queue.remove(job.id, data: queued.data)
        } catch {
            context.logger.warning(
                "a cancelled job could not be taken out of the queue",
                metadata: ["job": "\(job.id)", "error": "\(error)"])
        }
    }
}
