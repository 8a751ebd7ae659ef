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

    /// The job of that id: its record, or what the history tells when the record is gone or Redis is away.
    ///
    /// - Parameter id: The job's id.
    /// - Returns: The job.
    /// - Throws: ``FunctionKit/HTTPError`` 404 `not_found` for a job that nobody knows; a store's error when neither
    ///   answers.
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
        if let record = try await jobStore.load(id) { return record }
        // A process that was given no history has only the record to go by.
        guard let history = try? bindings.history else { throw Self.unknown(id) }
        return try await job(id, in: history)
    }

    private func job(_ id: JobID, in history: any HistoryStore) async throws -> JobRecord {
        guard let job = try await history.find(id.description),
            // The record was gone by itself at that time; the history's row waits to be purged.
            !downloads.isOver(job, at: .now),
            let record = JobRecord(
                job, files: try await history.files(of: id.description), maxAttempts: downloads.attempts)
        else { throw Self.unknown(id) }
        return record
    }

    private static func unknown(_ id: JobID) -> HTTPError {
        HTTPError(.notFound, code: "not_found", message: "There is no job \(id).")
    }
}
