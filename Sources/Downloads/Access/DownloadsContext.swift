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

    /// The job of that id: its record, or what the history tells when the record is gone.
    ///
    /// - Parameter id: The job's id.
    /// - Returns: The job.
    /// - Throws: ``FunctionKit/HTTPError`` 404 `not_found` for a job that nobody knows; a store's error.
    public func downloadJob(_ id: JobID) async throws -> JobRecord {
        if let record = try await jobStore.load(id) { return record }
        // A process that was given no history has only the record to go by.
        if let history = try? bindings.history, let job = try await history.find(id.description),
            let record = JobRecord(
                job, files: try await history.files(of: id.description), maxAttempts: downloads.attempts)
        {
            // The record was gone by itself at that time; the history's row waits to be purged.
            if !downloads.isOver(job, at: .now) { return record }
        }
        throw HTTPError(.notFound, code: "not_found", message: "There is no job \(id).")
    }
}
