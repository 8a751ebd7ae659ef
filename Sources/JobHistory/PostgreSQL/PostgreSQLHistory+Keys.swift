public import FunctionKit

extension PostgreSQLHistory {
    /// See ``HistoryStore``.
    public func removeKeys(expiredBefore: Timestamp, limit: Int) async throws -> Int {
        guard limit > 0 else { return 0 }
        return try await calls.run { connection, _ in
            let parameters = ["\(expiredBefore.milliseconds)", "\(limit)"]
            return try connection.execute(.removeKeys, parameters).map { try $0.required(Int.self) }.first ?? 0
        }
    }

    /// See ``HistoryStore``.
    public func lease(
        _ name: String, to holder: String, for duration: Duration, at time: Timestamp
    ) async throws -> Bool {
        try await calls.run { connection, _ in
            let parameters = [name, holder, "\((time + duration).milliseconds)", "\(time.milliseconds)"]
            return try connection.execute(.lease, parameters).count == 1
        }
    }

    /// See ``HistoryStore``.
    public func endLease(_ name: String, of holder: String) async throws {
        try await calls.run { connection, _ in _ = try connection.execute(.endLease, [name, holder]) }
    }
}
