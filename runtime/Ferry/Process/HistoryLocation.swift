import Host
import JobHistory

/// Where the history is.
enum HistoryLocation {
    case sqlite(path: String)
    case postgreSQL(PostgreSQLURL)

    /// - Throws: ``CommandFailure`` when the URL has no form that can be used.
    init(_ configuration: Configuration.History, dataFolder: String) throws {
        guard let url = configuration.url else {
            self = .sqlite(path: configuration.path ?? dataFolder + "/history.sqlite")
            return
        }
        guard let url = PostgreSQLURL(url.value) else {
            throw CommandFailure("history.url: it is no URL of a PostgreSQL database")
        }
        self = .postgreSQL(url)
    }

    /// Says which key of the configuration an error is about.
    static func naming<Value>(_ key: String, _ make: () async throws -> Value) async throws -> Value {
        do { return try await make() } catch { throw CommandFailure("\(key): \(error)") }
    }
}
