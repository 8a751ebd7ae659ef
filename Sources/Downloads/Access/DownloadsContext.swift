public import FunctionKit

extension Context {
    /// The settings of the download functions.
    public var downloads: DownloadsConfiguration { bindings.settings() }

    /// The records of all jobs.
    ///
    /// - Throws: ``FunctionKit/HTTPError`` 503 when no Redis is configured.
    public var jobStore: JobStore {
        get throws { JobStore(try bindings.keyValue, retention: downloads.recordRetention) }
    }

    /// Whom new jobs belong to; `nil` for nobody known and for ``FunctionKit/User/local``.
    public var owner: String? { user == .local ? nil : user?.id }

    /// Whether the caller may see and change a job of that owner. Admins may access all, nobody
    /// known those without an owner.
    public func mayAccess(owner: String?) -> Bool {
        guard let user else { return owner == nil }
        return user.isAdmin || owner == user.id
    }

    /// What callers are told of a job that there is not, or that is not theirs.
    func notFound(_ id: JobID) -> HTTPError {
        HTTPError(.notFound, code: "not_found", message: "There is no job \(id).")
    }

    /// The job of that id: its record, or what the history tells when the record is gone or Redis is away.
    ///
    /// - Parameter id: The job's id.
    /// - Returns: The job.
    /// - Throws: ``FunctionKit/HTTPError`` 404 `not_found` for a job that nobody knows, and alike for one that the caller
    ///   may not access; a store's error when neither answers.
    public func downloadJob(_ id: JobID) async throws -> JobRecord {
        do {
            return try await presentJob(id)
        } catch let error as any ClassifiedError where error.isUnavailable {
            try Task.checkCancellation()
            // What the history told it tells again; an error of its own is as good as the first one.
            guard let history = try? bindings.history else { throw error }
            return try await job(id, in: history)
        }
    }

    /// As ``downloadJob(_:)``, but only with an answer of Redis, so that the job's `seq` is the last one.
    ///
    /// - Throws: A ``FunctionKit/ClassifiedError`` also when Redis is away.
    func presentJob(_ id: JobID) async throws -> JobRecord {
        if let record = try await jobStore.load(id) {
            guard mayAccess(owner: record.owner) else { throw notFound(id) }
            return record
        }
        // A process that was given no history has only the record to go by.
        guard let history = try? bindings.history else { throw notFound(id) }
        return try await job(id, in: history)
    }

    private func job(_ id: JobID, in history: any HistoryStore) async throws -> JobRecord {
        guard let job = try await history.find(id.description),
            // The record was gone by itself at that time; the history's row waits to be purged.
            !downloads.isOver(job, at: .now),
            let record = JobRecord(
                job, files: try await history.files(of: id.description), maxAttempts: downloads.attempts)
        else { throw notFound(id) }
        guard mayAccess(owner: job.owner) else { throw notFound(id) }
        return record
    }
}
