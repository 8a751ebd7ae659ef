internal import Foundation
internal import GRDB

extension SQLiteHistory {
    /// Makes the missing steps of a file's tables, as opening it does; a file that is not there is made. It blocks.
    ///
    /// - Returns: The tables as they were found.
    /// - Throws: ``HistoryError``, as ``init(path:timeout:maxWaiting:)`` does.
    public static func migrate(path: String) throws -> HistorySchema {
        do {
            let pool = try DatabasePool(path: path, configuration: waiting)
            let found = try pool.writeWithoutTransaction { db in
                try db.execute(sql: "PRAGMA synchronous = FULL")
                return try SQLiteSchema.migrate(db)
            }
            try pool.close()
            return found
        } catch {
            throw HistoryError(database: error)
        }
    }

    /// How far a file's tables are; changes nothing. A file that is not there has none. It blocks.
    ///
    /// - Throws: ``HistoryError``, as ``init(path:timeout:maxWaiting:)`` does, but `newerSchema`.
    public static func schema(path: String) throws -> HistorySchema {
        guard FileManager.default.fileExists(atPath: path) else {
            return HistorySchema(version: 0, of: SQLiteSchema.migrations)
        }
        do {
            var configuration = waiting
            configuration.readonly = true
            let queue = try DatabaseQueue(path: path, configuration: configuration)
            let found = try queue.read { try SQLiteSchema.schema($0) }
            try queue.close()
            return found
        } catch {
            throw HistoryError(database: error)
        }
    }

    private static var waiting: Configuration {
        var configuration = Configuration()
        configuration.busyMode = .timeout(10)
        return configuration
    }
}
