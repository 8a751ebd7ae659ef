public import FunctionKit
internal import GRDB

extension SQLiteHistory {
    /// See ``HistoryStore``.
    public func list(
        states: Set<String>, changedBefore: Timestamp, after place: HistoryPlace?, limit: Int
    ) async throws -> [HistoryJob] {
        guard !states.isEmpty, limit > 0 else { return [] }
        return try await calls.read { db in
            let statement = try db.cachedStatement(
                sql: """
                    SELECT * FROM download_jobs WHERE status IN (\(Self.placeholders(states.count))) AND updated_at < ?
                    \(place == nil ? "" : "AND (updated_at, job_id) > (?, ?)")
                    ORDER BY updated_at, job_id LIMIT ?
                    """)
            var bounds: [(any DatabaseValueConvertible)?] = [changedBefore.milliseconds]
            if let place { bounds += [place.time.milliseconds, place.id] }
            bounds.append(limit)
            return try Row.fetchAll(statement, arguments: StatementArguments(states.sorted() + bounds))
                .map(HistoryJob.init(row:))
        }
    }

    /// See ``HistoryStore``.
    public func list(states: Set<String>, expiresBefore: Timestamp, limit: Int) async throws -> [HistoryJob] {
        guard !states.isEmpty, limit > 0 else { return [] }
        return try await calls.read { db in
            let statement = try db.cachedStatement(
                sql: """
                    SELECT * FROM download_jobs WHERE status IN (\(Self.placeholders(states.count))) AND expires_at < ?
                    ORDER BY expires_at, job_id LIMIT ?
                    """)
            let bounds: [(any DatabaseValueConvertible)?] = [expiresBefore.milliseconds, limit]
            return try Row.fetchAll(statement, arguments: StatementArguments(states.sorted() + bounds))
                .map(HistoryJob.init(row:))
        }
    }

    /// See ``HistoryStore``.
    public func list(_ query: HistoryQuery) async throws -> [HistorySummary] {
        guard query.limit > 0 else { return [] }
        return try await calls.read { db in
            let place = query.after == nil ? "" : "AND (created_at, job_id) < (?, ?)"
            let filter =
                query.status == nil
                ? "" : "AND CASE WHEN status = 'ready' AND expires_at <= ? THEN 'expired' ELSE status END = ?"
            let statement = try db.cachedStatement(
                sql: """
                    SELECT *, (
                      SELECT coalesce(sum(file_size), 0) FROM file_records
                      WHERE file_records.job_id = download_jobs.job_id AND file_records.status = 'completed'
                    ) AS completed_bytes
                    FROM download_jobs WHERE user_id IS ? \(place) \(filter)
                    ORDER BY created_at DESC, job_id DESC LIMIT ?
                    """)
            var values: [(any DatabaseValueConvertible)?] = [query.owner]
            if let after = query.after { values += [after.time.milliseconds, after.id] }
            if let status = query.status { values += [query.time.milliseconds, status] }
            values.append(query.limit)
            return try Row.fetchAll(statement, arguments: StatementArguments(values)).map(HistorySummary.init(row:))
        }
    }
}
