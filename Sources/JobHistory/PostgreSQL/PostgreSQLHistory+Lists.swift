public import FunctionKit

extension PostgreSQLHistory {
    /// See ``HistoryStore``.
    public func list(
        states: Set<String>, changedBefore: Timestamp, after place: HistoryPlace?, limit: Int
    ) async throws -> [HistoryJob] {
        guard !states.isEmpty, limit > 0, place.map({ Self.isID($0.id) }) != false else { return [] }
        return try await calls.run { connection, _ in
            let parameters = [
                PostgreSQLArray.text(states.sorted()), "\(changedBefore.milliseconds)",
                place.map { "\($0.time.milliseconds)" }, place?.id, "\(limit)",
            ]
            return try connection.execute(.listChanged, parameters).map { try HistoryJob(row: &$0) }
        }
    }

    /// See ``HistoryStore``.
    public func list(states: Set<String>, expiresBefore: Timestamp, limit: Int) async throws -> [HistoryJob] {
        guard !states.isEmpty, limit > 0 else { return [] }
        return try await calls.run { connection, _ in
            let parameters = [
                PostgreSQLArray.text(states.sorted()), "\(expiresBefore.milliseconds)", "\(limit)",
            ]
            return try connection.execute(.listExpiring, parameters).map { try HistoryJob(row: &$0) }
        }
    }

    /// See ``HistoryStore``.
    public func list(_ query: HistoryQuery) async throws -> [HistorySummary] {
        guard query.limit > 0, query.after.map({ Self.isID($0.id) }) != false else { return [] }
        return try await calls.run { connection, _ in
            let parameters = [
                query.owner, query.after.map { "\($0.time.milliseconds)" }, query.after?.id, query.status,
                "\(query.time.milliseconds)", "\(query.limit)",
            ]
            let statement: PostgreSQLStatement = query.owner == nil ? .listUnowned : .listOwned
            return try connection.execute(statement, parameters).map { try HistorySummary(row: &$0) }
        }
    }
}
