public import FunctionKit
internal import GRDB

extension SQLiteHistory {
    /// See ``HistoryStore``.
    public func listCallbacks(
        states: Set<String>, dueBefore: Timestamp, after place: HistoryPlace?, limit: Int
    ) async throws -> [HistoryJob] {
        guard !states.isEmpty, limit > 0 else { return [] }
        return try await calls.read { db in
            // By itself SQLite takes the index of states, in which all jobs are that were told long ago.
            let statement = try db.cachedStatement(
                sql: """
                    SELECT * FROM download_jobs INDEXED BY idx_download_jobs_callbacks
                    WHERE callback_state IS NOT NULL
                      AND (callback_state = 'pending' OR callback_round <> round OR callback_about <> status)
                      AND status IN (\(Self.placeholders(states.count))) AND updated_at < ?
                      AND (callback_next_at IS NULL OR callback_next_at < ? OR callback_round <> round
                        OR callback_about <> status)
                      \(place == nil ? "" : "AND (updated_at, job_id) > (?, ?)")
                    ORDER BY updated_at, job_id LIMIT ?
                    """)
            var bounds: [(any DatabaseValueConvertible)?] = [dueBefore.milliseconds, dueBefore.milliseconds]
            if let place { bounds += [place.time.milliseconds, place.id] }
            bounds.append(limit)
            return try Row.fetchAll(statement, arguments: StatementArguments(states.sorted() + bounds))
                .map(HistoryJob.init(row:))
        }
    }

    /// See ``HistoryStore``.
    public func record(_ callback: HistoryCallback, of id: String) async throws -> Bool {
        try await calls.write { db in
            let statement = try db.cachedStatement(
                sql: """
                    UPDATE download_jobs SET callback_state = ?, callback_round = ?, callback_about = ?,
                      callback_attempts = ?, callback_answer = ?, callback_error = ?, callback_delivered_at = ?,
                      callback_next_at = ?
                    WHERE job_id = ? AND round = ? AND status = ? AND callback_state IS NOT NULL
                      AND (callback_round <> round OR callback_about <> status
                        OR callback_state = 'pending' AND callback_attempts <= ?)
                    """)
            let bounds: [(any DatabaseValueConvertible)?] = [id, callback.round, callback.about, callback.attempts]
            try statement.execute(arguments: StatementArguments(HistoryCallback.values(of: callback) + bounds))
            return db.changesCount == 1
        }
    }
}
