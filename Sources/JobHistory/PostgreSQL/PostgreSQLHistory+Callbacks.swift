public import FunctionKit

extension PostgreSQLHistory {
    /// See ``HistoryStore``.
    public func listCallbacks(
        states: Set<String>, dueBefore: Timestamp, after place: HistoryPlace?, limit: Int
    ) async throws -> [HistoryJob] {
        guard !states.isEmpty, limit > 0, place.map({ Self.isID($0.id) }) != false else { return [] }
        return try await calls.run { connection, _ in
            let parameters = [
                PostgreSQLArray.text(states.sorted()), "\(dueBefore.milliseconds)",
                place.map { "\($0.time.milliseconds)" }, place?.id, "\(limit)",
            ]
            return try connection.execute(.listCallbacks, parameters).map { try HistoryJob(row: &$0) }
        }
    }

    /// See ``HistoryStore``.
    public func record(_ callback: HistoryCallback, of id: String) async throws -> Bool {
        guard Self.isID(id) else { return false }
        return try await calls.run { connection, isRepeat in
            let parameters = [
                id, "\(callback.round)", callback.about, callback.state.rawValue, "\(callback.attempts)",
                callback.answer.map(String.init), callback.error,
                callback.deliveredAt.map { "\($0.milliseconds)" }, callback.nextAt.map { "\($0.milliseconds)" },
            ]
            if try connection.execute(.recordCallback, parameters).count == 1 { return true }
            // What this call wrote before its answer was lost.
            return try isRepeat && Self.find(id, connection)?.callback == callback
        }
    }
}
