import FunctionKit
import Host
import JobHistory

/// What the commands about the history print.
struct HistoryReport {
    let driver: String
    let place: String
    /// The tables as they are, or were before the migration.
    let schema: HistorySchema
    let isMigrated: Bool

    /// Looks without changing anything.
    static func status(_ options: HistoryOptions) async throws -> HistoryReport {
        try await make(options, isMigrated: false, sqlite: SQLiteHistory.schema(path:)) { url, timeout in
            try await PostgreSQLHistory.schema(url, timeout: timeout)
        }
    }

    /// Brings the tables up to date.
    static func migrate(_ options: HistoryOptions) async throws -> HistoryReport {
        try await make(options, isMigrated: true, sqlite: SQLiteHistory.migrate(path:)) { url, timeout in
            try await PostgreSQLHistory.migrate(url, timeout: timeout)
        }
    }

    private static func make(
        _ options: HistoryOptions, isMigrated: Bool, sqlite: (String) throws -> HistorySchema,
        postgreSQL: (PostgreSQLURL, Duration) async throws -> (place: String, found: HistorySchema)
    ) async throws -> HistoryReport {
        let configuration = try Configuration.load(
            file: options.configurationFile, environment: EnvironmentVariable.values())
        let history = configuration.history
        switch try HistoryLocation(history, dataFolder: options.dataFolder) {
        case .postgreSQL(let url):
            let (place, found) = try await HistoryLocation.naming("history.url") {
                try await postgreSQL(url, history.timeout)
            }
            return HistoryReport(driver: "postgresql", place: place, schema: found, isMigrated: isMigrated)
        case .sqlite(let path):
            let found = try await HistoryLocation.naming("history.path \(path)") { try sqlite(path) }
            return HistoryReport(driver: "sqlite", place: path, schema: found, isMigrated: isMigrated)
        }
    }

    func print(json: Bool) throws {
        if json {
            Terminal.output.line(try JSON.text(item))
            return
        }
        Terminal.output.line("\(driver): \(Terminal.plain(place))")
        let steps = schema.pending.enumerated().map { "  \(schema.version + $0.offset + 1): \($0.element)" }
        switch (isMigrated, schema.isCurrent) {
        case (_, true): Terminal.output.line("the tables are up to date, version \(schema.version)")
        case (true, false):
            Terminal.output.line("the tables were brought from version \(schema.version) to \(schema.latest)")
            for step in steps { Terminal.output.line(step) }
        case (false, false) where schema.isNewer:
            Terminal.output.line(
                "the tables have version \(schema.version), this program knows \(schema.latest): it is too old for them"
            )
        case (false, false):
            Terminal.output.line(
                "the tables have version \(schema.version) of \(schema.latest); 'ferry history migrate' makes the rest")
            for step in steps { Terminal.output.line(step) }
        }
    }

    private var item: Item {
        let version = isMigrated ? max(schema.version, schema.latest) : schema.version
        return Item(
            driver: driver, place: place, version: version, latest: schema.latest,
            state: isMigrated || schema.isCurrent ? "current" : schema.isNewer ? "newer" : "pending",
            pending: isMigrated ? [] : schema.pending, applied: isMigrated ? schema.pending : [])
    }

    /// The report in JSON.
    private struct Item: Encodable {
        let driver: String
        let place: String
        let version: Int
        let latest: Int
        let state: String
        let pending: [String]
        let applied: [String]
    }
}
