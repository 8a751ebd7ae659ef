internal import CPostgreSQL
internal import Glibc

/// One connection to a server, used by one thread at a time. Its calls block that thread until `deadline` at most.
///
/// libpq is used without blocking, with `poll` between the steps, so that a server or a network that says nothing any
/// more is noticed. After a failure that ends the connection `isUsable` is false.
final class PostgreSQLConnection: @unchecked Sendable {
    // Not locked: PostgreSQLCalls hands a connection to one thread, which gives it back under the mutex of the pool.

    /// When the call under way must be done.
    var deadline: ContinuousClock.Instant
    /// How often an attempt to connect looks whether it is still wanted.
    private static let wantedInterval = Duration.milliseconds(100)
    private(set) var isUsable = true
    private var isClosed = false
    private let library: PostgreSQLLibrary
    private let connection: OpaquePointer
    private var prepared: Set<String> = []

    private var pq: FerryPQFunctions { library.functions }

    /// Connects. It blocks.
    ///
    /// - Parameters:
    ///   - url: The server.
    ///   - library: libpq.
    ///   - address: Which of the URL's places to connect to.
    ///   - timeout: After so long the server, too, gives a statement up; half of it is its patience with locks.
    ///   - deadline: When the connection must stand.
    ///   - isWanted: Whether anybody still waits for it; asked a few times a second.
    /// - Throws: `PostgreSQLFailure`; nothing is left open.
    init(
        _ url: PostgreSQLURL, _ library: PostgreSQLLibrary, at address: PostgreSQLAddress, timeout: Duration,
        deadline: ContinuousClock.Instant, isWanted: () -> Bool
    ) throws(PostgreSQLFailure) {
        self.library = library
        self.deadline = deadline
        let milliseconds = max(Int(timeout / .milliseconds(1)), 1)
        // What stands before `dbname`, which is the whole URL, the URL may change; not what stands behind it. A network
        // that is gone shows at half of the deadline, so that a call can be made on another connection.
        let parameters =
            [
                ("fallback_application_name", "ferry"), ("tcp_user_timeout", "\(max(milliseconds / 2, 1))"),
                ("dbname", url.text), ("client_encoding", "UTF8"),
            ] + address.parameters
        let texts = CStrings(parameters.map(\.0) + parameters.map(\.1))
        let started = texts.withPointers { pointers in
            let (keywords, values) = (pointers.prefix(parameters.count), pointers.dropFirst(parameters.count))
            return library.functions.connectStartParams(keywords + [nil], values + [nil], 1)
        }
        guard let started else { throw PostgreSQLFailure(.lost, "libpq has no memory for a connection") }
        connection = started
        do {
            try connect(isWanted)
            try query(Self.session(milliseconds))
        } catch {
            close()
            throw error
        }
    }

    /// Ends the connection. It is not used afterwards.
    func close() {
        guard !isClosed else { return }
        isUsable = false
        isClosed = true
        pq.finish(connection)
    }

    /// Marks the connection as one that is to be closed.
    func spoil() { isUsable = false }

    // MARK: Statements

    /// Runs one or more statements without parameters.
    func query(_ sql: String) throws(PostgreSQLFailure) {
        try check(pq.sendQuery(connection, sql))
        _ = try answer()
    }

    /// Runs a statement, which is prepared the first time.
    @discardableResult
    func execute(_ statement: PostgreSQLStatement, _ parameters: [String?]) throws -> PostgreSQLRows {
        if !prepared.contains(statement.name) {
            try check(pq.sendPrepare(connection, statement.name, statement.sql, 0, nil))
            _ = try answer()
            prepared.insert(statement.name)
        }
        for case let text? in parameters where text.utf8.contains(0) {
            throw HistoryError(.failed, "a text holds the character U+0000, which PostgreSQL cannot keep")
        }
        let texts = CStrings(parameters)
        let isSent = texts.withPointers {
            pq.sendQueryPrepared(connection, statement.name, Int32(parameters.count), $0, nil, nil, 0)
        }
        try check(isSent)
        return try answer()
    }

    /// Runs statements in one transaction, which is undone when something is thrown.
    func transaction<Value>(_ body: () throws -> Value) throws -> Value {
        try query("BEGIN")
        do {
            let value = try body()
            try query("COMMIT")
            return value
        } catch {
            if isUsable {
                do { try query("ROLLBACK") } catch { spoil() }
            }
            throw error
        }
    }

    // MARK: Steps

    /// Settings of a session. What is accepted must survive a crash of the server, whatever its default is.
    private static func session(_ milliseconds: Int) -> String {
        """
        SET statement_timeout = \(milliseconds); SET lock_timeout = \(max(milliseconds / 2, 1));
        SET idle_in_transaction_session_timeout = \(milliseconds); SET default_transaction_isolation = 'read committed';
        SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'
        """
    }

    private func connect(_ isWanted: () -> Bool) throws(PostgreSQLFailure) {
        _ = pq.setErrorVerbosity(connection, PQERRORS_VERBOSE)
        var next = pq.status(connection) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING
        while true {
            switch next {
            case PGRES_POLLING_OK:
                _ = pq.setErrorVerbosity(connection, PQERRORS_DEFAULT)
                _ = pq.setNoticeReceiver(connection, ferry_pq_ignore_notice, nil)
                guard pq.setNonblocking(connection, 1) == 0 else { throw lost() }
                return
            case PGRES_POLLING_READING: try wait(for: POLLIN, while: isWanted)
            case PGRES_POLLING_WRITING: try wait(for: POLLOUT, while: isWanted)
            default: throw unconnected()
            }
            next = pq.connectPoll(connection)
        }
    }

    /// Sends what is left to send and waits for the whole answer.
    private func answer() throws(PostgreSQLFailure) -> PostgreSQLRows {
        while true {
            let rest = pq.flush(connection)
            guard rest >= 0 else { throw lost() }
            if rest == 0 { break }
            // A server that is itself stuck in sending wants to be read from first.
            if try wait(for: POLLIN | POLLOUT) & Int32(POLLIN) != 0 { try consume() }
        }
        var last: PostgreSQLRows?
        var failure: PostgreSQLFailure?
        while true {
            while pq.isBusy(connection) != 0 {
                try wait(for: POLLIN)
                try consume()
            }
            guard let result = pq.getResult(connection) else { break }
            let status = pq.resultStatus(result)
            if status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK {
                last = PostgreSQLRows(owning: result, library)
            } else {
                failure = failure ?? self.failure(of: result)
                pq.clear(result)
            }
        }
        if let failure {
            if failure.endsConnection || pq.status(connection) != CONNECTION_OK { spoil() }
            throw failure
        }
        guard let last else { throw lost() }
        return last
    }

    private func failure(of result: OpaquePointer) -> PostgreSQLFailure {
        guard let state = pq.resultErrorField(result, ferry_pq_sqlstate) else { return lost() }
        let message = pq.resultErrorField(result, ferry_pq_primary).map { String(cString: $0) } ?? "no message"
        return PostgreSQLFailure(.refused(String(cString: state)), message)
    }

    private func consume() throws(PostgreSQLFailure) {
        guard pq.consumeInput(connection) == 1 else { throw lost() }
    }

    private func check(_ isSent: Int32) throws(PostgreSQLFailure) {
        guard isSent == 1 else { throw lost() }
    }

    private func lost() -> PostgreSQLFailure {
        spoil()
        let message = pq.errorMessage(connection).map { String(cString: $0) } ?? ""
        return PostgreSQLFailure(.lost, message.isEmpty ? "the server ended the connection" : message)
    }

    /// Why the connection did not come about. libpq tells the server's SQLSTATE only within its text, as
    /// `FATAL:  28P01: …` with the first word in the server's language.
    private func unconnected() -> PostgreSQLFailure {
        let failure = lost()
        guard let match = failure.message.firstMatch(of: /:  ([0-9A-Z]{5}): ([^;]*)/) else { return failure }
        return PostgreSQLFailure(.refused(String(match.1)), String(match.2))
    }

    @discardableResult
    private func wait(for events: Int32) throws(PostgreSQLFailure) -> Int32 {
        guard let found = try wait(for: events, until: deadline) else { throw late() }
        return found
    }

    private func wait(for events: Int32, while isWanted: () -> Bool) throws(PostgreSQLFailure) {
        while try wait(for: events, until: min(deadline, .now + Self.wantedInterval)) == nil {
            guard deadline > .now else { throw late() }
            guard isWanted() else {
                spoil()
                throw PostgreSQLFailure(.lost, "nobody waits for the connection any more")
            }
        }
    }

    /// - Returns: What is possible, or `nil` when the time is over.
    private func wait(
        for events: Int32, until end: ContinuousClock.Instant
    ) throws(PostgreSQLFailure) -> Int32? {
        var entry = pollfd(fd: pq.socket(connection), events: Int16(events), revents: 0)
        // Nothing ever happens on a socket that is not there.
        guard entry.fd >= 0 else { throw lost() }
        while true {
            let rest = end - .now
            guard rest > .zero else { return nil }
            let count = poll(&entry, 1, Int32(clamping: Int((rest / .milliseconds(1)).rounded(.up))))
            if count > 0 { return Int32(entry.revents) }
            if count < 0, errno != EINTR { throw lost() }
        }
    }

    private func late() -> PostgreSQLFailure {
        spoil()
        return PostgreSQLFailure(.late, "the server did not answer in time")
    }
}

/// Texts as C wants them, in one piece of memory.
private struct CStrings {
    private var bytes: [CChar] = []
    private var starts: [Int?] = []

    init(_ texts: [String?]) {
        for text in texts {
            guard let text else {
                starts.append(nil)
                continue
            }
            starts.append(bytes.count)
            bytes.append(contentsOf: text.utf8.lazy.map { CChar(bitPattern: $0) })
            bytes.append(0)
        }
    }

    /// The pointers are valid until `body` returns.
    func withPointers<Value>(_ body: ([UnsafePointer<CChar>?]) -> Value) -> Value {
        bytes.withUnsafeBufferPointer { buffer in
            body(starts.map { start in start.flatMap { index in buffer.baseAddress.map { $0 + index } } })
        }
    }
}
