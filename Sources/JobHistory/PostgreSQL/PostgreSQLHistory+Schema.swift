extension PostgreSQLHistory {
    /// How long all missing steps together may take, with the wait for another process that makes them.
    private static let migrationTimeout = Duration.seconds(600)

    /// Makes the missing steps of the tables.
    ///
    /// - Returns: The tables as they were found.
    func migrate() async throws -> HistorySchema {
        // The usual start finds nothing to do, and fails within the usual deadline when there is no server.
        let found = try await calls.run { connection, _ in try PostgreSQLSchema.schema(connection) }
        if found.isCurrent { return found }
        return try await calls.run(within: Self.migrationTimeout) { connection, _ in
            try PostgreSQLSchema.migrate(connection)
        }
    }

    /// Makes the missing steps of the tables, as opening the history does.
    ///
    /// - Returns: The database and its server in words, and the tables as they were found.
    /// - Throws: ``HistoryError``, as ``open(_:connections:timeout:maxWaiting:)`` does.
    public static func migrate(
        _ url: PostgreSQLURL, timeout: Duration = .seconds(10)
    ) async throws -> (place: String, found: HistorySchema) {
        try await withOne(url, timeout) { try await $0.migrate() }
    }

    /// How far the tables are; changes nothing.
    ///
    /// - Returns: The database and its server in words, and the tables as they are.
    /// - Throws: ``HistoryError``, as ``open(_:connections:timeout:maxWaiting:)`` does, but `newerSchema`.
    public static func schema(
        _ url: PostgreSQLURL, timeout: Duration = .seconds(10)
    ) async throws -> (place: String, found: HistorySchema) {
        try await withOne(url, timeout) { store in
            try await store.calls.run { connection, _ in try PostgreSQLSchema.schema(connection) }
        }
    }

    private static func withOne(
        _ url: PostgreSQLURL, _ timeout: Duration, _ body: (PostgreSQLHistory) async throws -> HistorySchema
    ) async throws -> (place: String, found: HistorySchema) {
        let place = try url.place(try PostgreSQLLibrary.load())
        let store = try unmigrated(url, connections: 1, timeout: timeout)
        let result: Result<HistorySchema, any Error>
        do {
            result = .success(try await body(store))
        } catch {
            result = .failure(error)
        }
        await store.close()
        return (place, try result.get())
    }
}
