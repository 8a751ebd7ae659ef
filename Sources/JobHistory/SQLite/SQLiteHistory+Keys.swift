public import FunctionKit
internal import GRDB

extension SQLiteHistory {
    /// See ``HistoryStore``.
    public func insert(_ job: HistoryJob, key: HistoryKey) async throws -> HistoryKey {
        let owner = job.owner ?? ""
        // The transaction is an immediate one: between the look and the change nobody else writes.
        return try await calls.write { db in
            let statement = try db.cachedStatement(
                sql: """
                    SELECT job_id, digest, expires_at FROM idempotency_keys
                    WHERE user_id = ? AND key = ? AND expires_at > ?
                    """)
            let bounds: StatementArguments = [owner, key.text, job.createdAt.milliseconds]
            if let row = try Row.fetchOne(statement, arguments: bounds) {
                return try HistoryKey(text: key.text, row: row)
            }
            try Self.insert(job, in: db)
            try db.cachedStatement(
                sql: """
                    INSERT INTO idempotency_keys (user_id, key, job_id, digest, expires_at) VALUES (?, ?, ?, ?, ?)
                    ON CONFLICT (user_id, key) DO UPDATE SET
                      job_id = excluded.job_id, digest = excluded.digest, expires_at = excluded.expires_at
                    """
            ).execute(arguments: [owner, key.text, key.jobID, key.digest, key.expiresAt.milliseconds])
            return key
        }
    }

    /// See ``HistoryStore``.
    public func removeKeys(expiredBefore: Timestamp, limit: Int) async throws -> Int {
        guard limit > 0 else { return 0 }
        return try await calls.write { db in
            try db.cachedStatement(
                sql: """
                    DELETE FROM idempotency_keys WHERE (user_id, key) IN (
                      SELECT user_id, key FROM idempotency_keys WHERE expires_at < ? ORDER BY expires_at LIMIT ?
                    )
                    """
            ).execute(arguments: [expiredBefore.milliseconds, limit])
            return db.changesCount
        }
    }

    /// See ``HistoryStore``.
    public func lease(
        _ name: String, to holder: String, for duration: Duration, at time: Timestamp
    ) async throws -> Bool {
        try await calls.write { db in
            try db.cachedStatement(
                sql: """
                    INSERT INTO leases (name, holder, expires_at) VALUES (?, ?, ?)
                    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
                      WHERE leases.holder = excluded.holder OR leases.expires_at <= ?
                    """
            ).execute(arguments: [name, holder, (time + duration).milliseconds, time.milliseconds])
            return db.changesCount == 1
        }
    }

    /// See ``HistoryStore``.
    public func endLease(_ name: String, of holder: String) async throws {
        try await calls.write { db in
            try db.cachedStatement(sql: "DELETE FROM leases WHERE name = ? AND holder = ?")
                .execute(arguments: [name, holder])
        }
    }
}
