import FunctionKit
import Glibc
import Host
import JobHistory

/// The history that the configuration names, open.
struct OpenHistory: Sendable {
    let store: any HistoryStore
    /// Lets calls under way end, and closes it.
    let close: @Sendable () async -> Void

    /// Opens the history and brings its tables up to date.
    ///
    /// - Parameters:
    ///   - configuration: The section of the history.
    ///   - dataFolder: Where the file is, unless the configuration says so.
    ///   - mustExist: Whether a file that is not there is an error instead of a new history.
    /// - Throws: ``CommandFailure`` with the key of the configuration.
    init(_ configuration: Configuration.History, dataFolder: String, mustExist: Bool = false) async throws {
        switch try HistoryLocation(configuration, dataFolder: dataFolder) {
        case .postgreSQL(let url):
            let history = try await HistoryLocation.naming("history.url") {
                try await PostgreSQLHistory.open(
                    url, connections: configuration.connectionCount, timeout: configuration.timeout)
            }
            store = history
            close = { await history.close() }
        case .sqlite(let path):
            if mustExist { try Self.requireFile(path) }
            let history = try await HistoryLocation.naming("history.path \(path)") {
                try SQLiteHistory(path: path, timeout: configuration.timeout)
            }
            store = history
            close = { await history.close() }
        }
    }

    private static func requireFile(_ path: String) throws {
        guard access(path, R_OK | W_OK) != 0 else { return }
        throw CommandFailure(
            """
            the history of the downloads, \(path), cannot be used: \(String(cString: strerror(errno))). Name the data \
            folder with --data, or the history with history.path or history.url; a queue of another application needs \
            --prefix.
            """)
    }
}
