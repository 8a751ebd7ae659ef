public import FunctionKit
internal import GRDB

extension SQLiteHistory {
    /// See ``HistoryStore``.
    public func list(
        states: Set<String>, changedBefore: Timestamp, after place: HistoryPlace?, limit: Int
    ) async throws -> [HistoryJob] {
        guard !states.isEmpty, limit > 0 else { return [] }
        return try await calls.read { db in
            try Self.readable(limit, after: place, by: "updated_at", HistoryJob.init(row:)) { place, limit in
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
            }
        }
    }

    /// See ``HistoryStore``.
    public func list(states: Set<String>, expiresBefore: Timestamp, limit: Int) async throws -> [HistoryJob] {
        guard !states.isEmpty, limit > 0 else { return [] }
        return try await calls.read { db in
            try Self.readable(limit, after: nil, by: "expires_at", HistoryJob.init(row:)) { place, limit in
                let statement = try db.cachedStatement(
                    sql: """
                        SELECT * FROM download_jobs WHERE status IN (\(Self.placeholders(states.count))) AND expires_at < ?
                        \(place == nil ? "" : "AND (expires_at, job_id) > (?, ?)")
                        ORDER BY expires_at, job_id LIMIT ?
                        """)
                var bounds: [(any DatabaseValueConvertible)?] = [expiresBefore.milliseconds]
                if let place { bounds += [place.time.milliseconds, place.id] }
                bounds.append(limit)
                return try Row.fetchAll(statement, arguments: StatementArguments(states.sorted() + bounds))
            }
        }
    }

    /// See ``HistoryStore``.
    public func list(_ query: HistoryQuery) async throws -> [HistorySummary] {
        guard query.limit > 0 else { return [] }
        return try await calls.read { db in
            try Self.readable(query.limit, after: query.after, by: "created_at", HistorySummary.init(row:)) {
                after, limit in
                let place = after == nil ? "" : "AND (created_at, job_id) < (?, ?)"
                let filter =
                    query.status == nil
                    ? "" : "AND CASE WHEN status = 'ready' AND expires_at <= ? THEN 'expired' ELSE status END = ?"
                // `sum` would fail where the sizes of a foreign hand are too large for it.
                let statement = try db.cachedStatement(
                    sql: """
                        SELECT *, (
                          SELECT CAST(total(file_size) AS INTEGER) FROM file_records
                          WHERE file_records.job_id = download_jobs.job_id AND file_records.status = 'completed'
                        ) AS completed_bytes
                        FROM download_jobs WHERE user_id IS ? \(place) \(filter)
                        ORDER BY created_at DESC, job_id DESC LIMIT ?
                        """)
                var values: [(any DatabaseValueConvertible)?] = [query.owner]
                if let after { values += [after.time.milliseconds, after.id] }
                if let status = query.status { values += [query.time.milliseconds, status] }
                values.append(limit)
                return try Row.fetchAll(statement, arguments: StatementArguments(values))
            }
        }
    }

    /// Reads rows until there are enough values, or no more rows. A row that holds what it cannot hold is left out: it
    /// hides no other job.
    ///
    /// - Parameters:
    ///   - limit: How many values.
    ///   - place: Where to begin.
    ///   - column: The time by which the rows are sorted, before `job_id`.
    ///   - value: Reads a row.
    ///   - fetch: Fetches so many rows behind a place.
    /// - Returns: The values, in the order of the rows.
    /// - Throws: What `fetch` throws, and what `value` throws but for a row that cannot be read.
    private static func readable<Value>(
        _ limit: Int, after place: HistoryPlace?, by column: String, _ value: (Row) throws -> Value,
        rows fetch: (HistoryPlace?, Int) throws -> [Row]
    ) throws -> [Value] {
        var (values, place): ([Value], HistoryPlace?) = ([], place)
        while true {
            let wanted = limit - values.count
            let rows = try fetch(place, wanted)
            for row in rows {
                do {
                    values.append(try value(row))
                } catch let error as HistoryError where error.code == .corrupt {
                    continue
                }
            }
            guard rows.count == wanted, values.count < limit, let last = rows.last,
                let time = Int64.fromDatabaseValue(last[column]), let id = String.fromDatabaseValue(last["job_id"])
            else { return values }
            place = HistoryPlace(time: Timestamp(milliseconds: time), id: id)
        }
    }
}
