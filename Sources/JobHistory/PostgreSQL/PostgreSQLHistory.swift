public import FunctionKit

/// The history in a PostgreSQL database (13 or later), which any number of hosts may use at once.
///
/// What an awaited call has written is committed with `synchronous_commit`. Concurrent inserts share a statement (see
/// `PostgreSQLCalls`). No call blocks the caller's thread: each connection has a thread of this store's own. Failures
/// that pass, such as a restart of the server, are waited out within the deadline of a call. Every call throws
/// ``HistoryError``: `overloaded` at once when too many are waiting, `timeout` and `unreachable` after the deadline,
/// `busy` when a lock was held too long.
///
/// Ids of jobs are UUIDs in their canonical form. A job of another id is never found and cannot be inserted.
public final class PostgreSQLHistory: HistoryStore, Sendable {
    let calls: PostgreSQLCalls

    private init(_ calls: PostgreSQLCalls) { self.calls = calls }

    /// Connects and brings the tables up to date, under a lock, so that several processes may start at once.
    ///
    /// - Parameters:
    ///   - url: The server and the database, which must exist. The tables are made in the first schema of its search path.
    ///   - connections: How many connections there are at most, 1 or more.
    ///   - timeout: The deadline of each call, and of the first connection.
    ///   - maxWaiting: How many calls may be under way at once.
    /// - Returns: The history; `close()` ends it.
    /// - Throws: ``HistoryError``: `newerSchema`, `unreachable` when there is no server within the deadline, or `failed`
    ///   when it refuses, or libpq is missing.
    public static func open(
        _ url: PostgreSQLURL, connections: Int = 4, timeout: Duration = .seconds(10), maxWaiting: Int = 4096
    ) async throws -> PostgreSQLHistory {
        let store = try unmigrated(url, connections: connections, timeout: timeout, maxWaiting: maxWaiting)
        do {
            _ = try await store.migrate()
            return store
        } catch {
            await store.close()
            throw error
        }
    }

    /// The history without a look at its tables.
    static func unmigrated(
        _ url: PostgreSQLURL, connections: Int, timeout: Duration, maxWaiting: Int = 4096
    ) throws -> PostgreSQLHistory {
        let connector = try PostgreSQLConnector(url, .load(), timeout: timeout)
        return PostgreSQLHistory(
            PostgreSQLCalls(
                connections: connections, limit: maxWaiting, timeout: timeout,
                connect: connector.connect(deadline:isWanted:)))
    }

    /// Takes no more calls, lets those under way end, and closes the connections.
    public func close() async { await calls.close() }

    // MARK: HistoryStore

    /// See ``HistoryStore``.
    public func insert(_ job: HistoryJob) async throws {
        _ = try await calls.insert(.init(job: try Self.checked(job)))
    }

    /// See ``HistoryStore``.
    public func insert(_ job: HistoryJob, key: HistoryKey) async throws -> HistoryKey {
        try await calls.insert(.init(job: try Self.checked(job), key: key)) ?? key
    }

    private static func checked(_ job: HistoryJob) throws -> HistoryJob {
        guard isID(job.id) else { throw HistoryError(.failed, "a job's id must be a UUID in its canonical form") }
        return job
    }

    /// See ``HistoryStore``.
    public func find(_ id: String) async throws -> HistoryJob? {
        guard Self.isID(id) else { return nil }
        return try await calls.run { connection, _ in try Self.find(id, connection) }
    }

    static func find(_ id: String, _ connection: PostgreSQLConnection) throws -> HistoryJob? {
        try connection.execute(.find, [id]).map { try HistoryJob(row: &$0) }.first
    }

    /// See ``HistoryStore``.
    public func files(of id: String) async throws -> [HistoryFile] {
        guard Self.isID(id) else { return [] }
        return try await calls.run { connection, _ in
            try connection.execute(.files, [id]).map { try HistoryFile(row: &$0) }
        }
    }

    /// See ``HistoryStore``.
    public func update(_ id: String, round: Int, from states: Set<String>, change: HistoryChange) async throws -> Bool {
        guard Self.isID(id), !states.isEmpty else { return false }
        return try await calls.run { connection, isRepeat in
            let parameters = [
                id, "\(round)", PostgreSQLArray.text(states.sorted()), change.status, "\(change.at.milliseconds)",
                change.error, change.expiresAt.map { "\($0.milliseconds)" }, change.archive?.key,
                change.archive.map { "\($0.sizeBytes)" }, change.archive.map { "\($0.crc32)" },
            ]
            if try connection.execute(.update, parameters).count == 1 { return true }
            guard isRepeat, let job = try Self.find(id, connection) else { return false }
            // What this call wrote before its answer was lost: an archive's key, above all, is of one claim alone.
            return job.round == round && job.status == change.status && job.updatedAt == change.at
                && job.error == change.error && (change.archive == nil || job.archive == change.archive)
        }
    }

    /// See ``HistoryStore``.
    public func beginRound(
        after round: Int, of id: String, from states: Set<String>, at time: Timestamp
    ) async throws -> Bool {
        try await nextRound(.beginRound, of: id, after: round, from: states, at: time)
    }

    /// See ``HistoryStore``.
    public func raise(_ id: String, after round: Int, from states: Set<String>, at time: Timestamp) async throws -> Bool
    {
        try await nextRound(.raise, of: id, after: round, from: states, at: time)
    }

    private func nextRound(
        _ statement: PostgreSQLStatement, of id: String, after round: Int, from states: Set<String>, at time: Timestamp
    ) async throws -> Bool {
        guard Self.isID(id), !states.isEmpty else { return false }
        return try await calls.run { connection, isRepeat in
            let parameters = [id, "\(round)", PostgreSQLArray.text(states.sorted()), "\(time.milliseconds)"]
            if try connection.execute(statement, parameters).count == 1 { return true }
            guard isRepeat, let job = try Self.find(id, connection) else { return false }
            return job.round == round + 1 && job.status == "queued" && job.updatedAt == time
        }
    }

    /// See ``HistoryStore``.
    public func record(_ files: [HistoryFile], of id: String, round: Int) async throws -> Bool {
        guard Self.isID(id) else { return false }
        // One statement writes a row once: of several results of a file the last one counts, as in a row of statements.
        let files = Array(files.reduce(into: [Int64: HistoryFile]()) { $0[$1.fileID] = $1 }.values)
            .sorted { $0.fileID < $1.fileID }
        return try await calls.run { connection, _ in
            try connection.transaction {
                guard try connection.execute(.lockRound, [id, "\(round)"]).count == 1 else { return false }
                try connection.execute(
                    .record,
                    [
                        id, PostgreSQLArray.text(files.map(\.fileID)),
                        PostgreSQLArray.text(files.map { Int64($0.position) }),
                        PostgreSQLArray.text(files.map(\.status)), PostgreSQLArray.text(files.map(\.key)),
                        PostgreSQLArray.text(files.map(\.sizeBytes)),
                        PostgreSQLArray.text(files.map { $0.crc32.map(Int64.init) }),
                        PostgreSQLArray.text(files.map(\.error)),
                        PostgreSQLArray.text(files.map(\.processedAt?.milliseconds)),
                    ])
                try connection.execute(.count, [id])
                return true
            }
        }
    }

    /// See ``HistoryStore``.
    public func remove(_ id: String, round: Int, from states: Set<String>) async throws -> Bool {
        guard Self.isID(id), !states.isEmpty else { return false }
        return try await calls.run { connection, isRepeat in
            let parameters = [id, "\(round)", PostgreSQLArray.text(states.sorted())]
            if try connection.execute(.remove, parameters).count == 1 { return true }
            return try isRepeat && Self.find(id, connection) == nil
        }
    }

    /// Commits a row, so that a full disk or a server that takes no changes shows; see ``HistoryStore``.
    public func check() async throws {
        let now = Timestamp.now.milliseconds
        try await calls.run { connection, _ in _ = try connection.execute(.check, ["\(now)"]) }
    }

    /// Whether a text is a UUID as PostgreSQL prints it.
    static func isID(_ text: String) -> Bool {
        guard text.utf8.count == 36 else { return false }
        return text.utf8.enumerated().allSatisfy { index, byte in
            switch index {
            case 8, 13, 18, 23: byte == UInt8(ascii: "-")
            default:
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                    || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
            }
        }
    }
}
