public import FunctionKit
internal import GRDB

/// The history in one SQLite file, which several processes may use at once.
///
/// The file is in WAL mode with `synchronous=FULL`: what an awaited call has written is on the disk. Concurrent changes
/// share transactions (see `DatabaseCalls`). No call blocks the caller's thread; the database works on dispatch queues
/// of its own. Every call throws ``HistoryError``: `overloaded` at once when too many are waiting, `timeout` after the
/// deadline, `busy` when another process kept the write lock.
public final class SQLiteHistory: HistoryStore, Sendable {
    let calls: DatabaseCalls

    /// Opens or creates the file and brings its tables up to date. It blocks, so it is called before serving.
    ///
    /// - Parameters:
    ///   - path: The file's path; its folder must exist. Beside it SQLite keeps `-wal` and `-shm`.
    ///   - timeout: The deadline of each call.
    ///   - maxWaiting: How many calls may be under way at once.
    /// - Throws: ``HistoryError``: `newerSchema`, `corrupt`, `busy`, or `failed` when the file cannot be opened.
    public init(path: String, timeout: Duration = .seconds(10), maxWaiting: Int = 4096) throws {
        do {
            let pool = try Self.open(path, busyTimeout: timeout / 2)
            calls = DatabaseCalls(pool: pool, limit: maxWaiting, timeout: timeout)
        } catch {
            throw HistoryError(database: error)
        }
    }

    /// Takes no more calls, lets those under way end, and closes the file.
    public func close() async {
        await calls.close()
    }

    private static func open(_ path: String, busyTimeout: Duration) throws -> DatabasePool {
        var configuration = Configuration()
        configuration.label = "ferry.history"
        configuration.maximumReaderCount = 2
        // Below the calls' deadline, so that a caller learns the reason.
        configuration.busyMode = .timeout(busyTimeout / .seconds(1))
        let pool = try DatabasePool(path: path, configuration: configuration)
        try pool.writeWithoutTransaction { db in
            // GRDB opens pools with NORMAL, which may lose the last commits when the machine loses power.
            try db.execute(sql: "PRAGMA synchronous = FULL")
            try SQLiteSchema.migrate(db)
        }
        return pool
    }

    // MARK: HistoryStore

    /// See ``HistoryStore``.
    public func insert(_ job: HistoryJob) async throws {
        try await calls.write { db in try Self.insert(job, in: db) }
    }

    static func insert(_ job: HistoryJob, in db: Database) throws {
        try db.cachedStatement(
            sql: """
                INSERT INTO download_jobs (job_id, user_id, round, status, total_files, file_ids, options,
                  archive_key, archive_size, archive_crc32, error_message, created_at, updated_at, expires_at, raises,
                  callback_state, callback_round, callback_about, callback_attempts, callback_answer, callback_error,
                  callback_delivered_at, callback_next_at)
                VALUES (\(Self.placeholders(23)))
                ON CONFLICT (job_id) DO NOTHING
                """
        ).execute(arguments: job.arguments)
        guard db.changesCount == 1 else { throw HistoryError(.duplicate, "a job of that id exists") }
    }

    /// See ``HistoryStore``.
    public func find(_ id: String) async throws -> HistoryJob? {
        try await calls.read { db in
            let statement = try db.cachedStatement(sql: "SELECT * FROM download_jobs WHERE job_id = ?")
            return try Row.fetchOne(statement, arguments: [id]).map(HistoryJob.init(row:))
        }
    }

    /// See ``HistoryStore``.
    public func files(of id: String) async throws -> [HistoryFile] {
        try await calls.read { db in
            let statement = try db.cachedStatement(sql: "SELECT * FROM file_records WHERE job_id = ? ORDER BY position")
            return try Row.fetchAll(statement, arguments: [id]).map(HistoryFile.init(row:))
        }
    }

    /// See ``HistoryStore``.
    public func update(_ id: String, round: Int, from states: Set<String>, change: HistoryChange) async throws -> Bool {
        guard !states.isEmpty else { return false }
        return try await calls.write { db in
            let statement = try db.cachedStatement(
                sql: """
                    UPDATE download_jobs SET status = ?, updated_at = ?, error_message = ?,
                      expires_at = coalesce(?, expires_at), archive_key = coalesce(?, archive_key),
                      archive_size = coalesce(?, archive_size), archive_crc32 = coalesce(?, archive_crc32)
                    WHERE job_id = ? AND round = ? AND status IN (\(Self.placeholders(states.count)))
                    """)
            let values: [(any DatabaseValueConvertible)?] = [
                change.status, change.at.milliseconds, change.error, change.expiresAt?.milliseconds,
                change.archive?.key, change.archive?.sizeBytes, change.archive?.crc32, id, round,
            ]
            try statement.execute(arguments: StatementArguments(values + states.sorted()))
            return db.changesCount == 1
        }
    }

    /// See ``HistoryStore``.
    public func beginRound(
        after round: Int, of id: String, from states: Set<String>, at time: Timestamp
    ) async throws -> Bool {
        try await nextRound(of: id, after: round, from: states, at: time, raises: "0")
    }

    /// See ``HistoryStore``.
    public func raise(_ id: String, after round: Int, from states: Set<String>, at time: Timestamp) async throws -> Bool
    {
        try await nextRound(of: id, after: round, from: states, at: time, raises: "raises + 1")
    }

    private func nextRound(
        of id: String, after round: Int, from states: Set<String>, at time: Timestamp, raises: String
    ) async throws -> Bool {
        guard !states.isEmpty else { return false }
        return try await calls.write { db in
            let statement = try db.cachedStatement(
                sql: """
                    UPDATE download_jobs SET round = round + 1, status = 'queued', updated_at = ?, expires_at = NULL,
                      archive_key = NULL, archive_size = NULL, archive_crc32 = NULL, error_message = NULL,
                      processed_files = 0, failed_files = 0, raises = \(raises)
                    WHERE job_id = ? AND round = ? AND status IN (\(Self.placeholders(states.count)))
                    """)
            let values: [(any DatabaseValueConvertible)?] = [time.milliseconds, id, round]
            try statement.execute(arguments: StatementArguments(values + states.sorted()))
            guard db.changesCount == 1 else { return false }
            try db.cachedStatement(sql: "DELETE FROM file_records WHERE job_id = ?").execute(arguments: [id])
            return true
        }
    }

    /// See ``HistoryStore``.
    public func record(_ files: [HistoryFile], of id: String, round: Int) async throws -> Bool {
        try await calls.write { db in
            let guarding = try db.cachedStatement(sql: "SELECT 1 FROM download_jobs WHERE job_id = ? AND round = ?")
            guard try Int.fetchOne(guarding, arguments: [id, round]) != nil else { return false }
            let statement = try db.cachedStatement(
                sql: """
                    INSERT INTO file_records (job_id, file_id, position, status, s3_key, file_size, crc32,
                      error_message, processed_at)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
                    ON CONFLICT (job_id, file_id) DO UPDATE SET position = excluded.position,
                      status = excluded.status, s3_key = excluded.s3_key, file_size = excluded.file_size,
                      crc32 = excluded.crc32, error_message = excluded.error_message,
                      processed_at = excluded.processed_at
                    """)
            for file in files { try statement.execute(arguments: file.arguments(job: id)) }
            let counting = try db.cachedStatement(
                sql: """
                    UPDATE download_jobs SET
                      processed_files =
                        (SELECT count(*) FROM file_records WHERE job_id = ?1 AND status IN ('completed', 'failed')),
                      failed_files = (SELECT count(*) FROM file_records WHERE job_id = ?1 AND status = 'failed')
                    WHERE job_id = ?1
                    """)
            try counting.execute(arguments: [id])
            return true
        }
    }

    /// See ``HistoryStore``.
    public func remove(_ id: String, round: Int, from states: Set<String>) async throws -> Bool {
        guard !states.isEmpty else { return false }
        return try await calls.write { db in
            let statement = try db.cachedStatement(
                sql: """
                    DELETE FROM download_jobs
                    WHERE job_id = ? AND round = ? AND status IN (\(Self.placeholders(states.count)))
                    """)
            let values: [(any DatabaseValueConvertible)?] = [id, round]
            try statement.execute(arguments: StatementArguments(values + states.sorted()))
            return db.changesCount == 1
        }
    }

    /// Commits a row, so that a full or read-only disk shows; see ``HistoryStore``.
    public func check() async throws {
        let now = Timestamp.now.milliseconds
        try await calls.write { db in
            try db.cachedStatement(
                sql: """
                    INSERT INTO history_checks (id, checked_at) VALUES (1, ?)
                    ON CONFLICT (id) DO UPDATE SET checked_at = excluded.checked_at
                    """
            ).execute(arguments: [now])
        }
    }

    static func placeholders(_ count: Int) -> String {
        Array(repeating: "?", count: count).joined(separator: ", ")
    }
}
