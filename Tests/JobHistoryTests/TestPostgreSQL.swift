import Foundation
import Synchronization
import Testing

@testable import JobHistory

/// A PostgreSQL server of the tests' own, in a fresh folder, on a Unix socket alone unless a test asks for TCP.
///
/// It refuses to run as root, so it runs as `postgres` or `nobody` then. A shell holds it, which ends the server and
/// removes the folder when its input ends: so also when the tests crash.
final class TestPostgreSQL: Sendable {
    private struct Server {
        let shell: Process
        let input: Pipe
    }

    let folder: String
    private let options: String
    private let server = Mutex<Server?>(nil)

    /// The server that tests share; each has a schema of its own in it.
    static func shared() async throws -> TestPostgreSQL { try await sharedTask.value }
    private static let sharedTask = Task { try TestPostgreSQL() }

    init(options: String = "") throws {
        folder = "/tmp/ferry-pg-\(UInt32.random(in: 0 ... .max))"
        self.options = options
        try Self.run("mkdir -m 755 \(folder)")
        if getuid() == 0 { try Self.run("chown \(Self.user) \(folder)") }
        try Self.run(
            "\(Self.asUser) \(Self.binaries)/initdb -D \(folder)/data -A trust -U ferry -E UTF8 --locale=C --no-sync >/dev/null"
        )
        try start()
    }

    private static let binaries: String = {
        let root = "/usr/lib/postgresql"
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: root))?.compactMap(Int.init) ?? []
        return versions.max().map { "\(root)/\($0)/bin" } ?? "/usr/local/bin"
    }()

    private static let user = getpwnam("postgres") == nil ? "nobody" : "postgres"

    private static var asUser: String {
        getuid() == 0 ? "setpriv --reuid \(user) --regid $(id -g \(user)) --clear-groups env HOME=/ LC_ALL=C" : "env"
    }

    /// Starts the server; unless it is awaited, it takes calls a moment later.
    func start(isAwaited: Bool = true) throws {
        let shell = Process()
        let input = Pipe()
        shell.executableURL = URL(fileURLWithPath: "/bin/sh")
        shell.arguments = [
            "-c",
            """
            cd /; \(Self.asUser) \(Self.binaries)/postgres -D \(folder)/data -k \(folder) \
            -c listen_addresses= -c max_connections=300 -c shared_buffers=16MB -c fsync=off \(options) \
            >>\(folder).log 2>&1 </dev/null &
            pid=$!; read signal; others=$(pgrep -P $pid); kill -${signal:-INT} $pid
            # What a killed server leaves ends by itself, and keeps the next one from starting until then. `wait` would
            # hang: the tests' process blocks SIGCHLD, and so does its shell.
            for other in $pid $others; do
                for i in $(seq 500); do grep -q '^State:.[^Z]' /proc/$other/status || break; sleep 0.02; done
            done 2>/dev/null
            [ "$signal" ] || rm -rf \(folder) \(folder).log
            """,
        ]
        shell.standardInput = input
        try shell.run()
        server.withLock { $0 = Server(shell: shell, input: input) }
        guard isAwaited else { return }
        try Self.run(
            """
            for i in $(seq 600); do \(Self.binaries)/pg_isready -q -h \(folder) && exit 0; sleep 0.1; done
            tail -n 20 \(folder).log >&2; exit 1
            """)
    }

    /// Ends the server; its data stay. `INT` is as `pg_ctl stop -m fast` does, `QUIT` as with `-m immediate`; `KILL` ends the
    /// first process alone.
    func stop(_ signal: String = "INT") throws {
        let server = server.withLock { server in
            defer { server = nil }
            return server
        }
        try server?.input.fileHandleForWriting.write(contentsOf: Data("\(signal)\n".utf8))
        try server?.input.fileHandleForWriting.close()
        server?.shell.waitUntilExit()
    }

    /// Ends the server and removes its folder.
    func remove() {
        let server = server.withLock { server in
            defer { server = nil }
            return server
        }
        try? server?.input.fileHandleForWriting.close()
        server?.shell.waitUntilExit()
        if server == nil { try? Self.run("rm -rf \(folder) \(folder).log") }
    }

    static func run(_ command: String) throws {
        let shell = Process()
        shell.executableURL = URL(fileURLWithPath: "/bin/sh")
        // The server's user may not enter the folder that the tests run in.
        shell.arguments = ["-c", "cd /; \(command)"]
        shell.standardInput = FileHandle.nullDevice
        try shell.run()
        shell.waitUntilExit()
        try #require(shell.terminationStatus == 0, "\(command)")
    }

    /// The URL of a fresh, empty schema.
    func freshURL() throws -> PostgreSQLURL {
        let schema = "t\(UInt64.random(in: 0 ... .max))"
        try connection().query("CREATE SCHEMA \(schema)")
        return try url(schema: schema)
    }

    func url(schema: String = "public", database: String = "postgres") throws -> PostgreSQLURL {
        let socket = folder.replacingOccurrences(of: "/", with: "%2F")
        let text = "postgresql://ferry:s3cret-word@\(socket)/\(database)?options=-csearch_path%3D\(schema)"
        return try #require(PostgreSQLURL(text))
    }

    /// A connection beside the store's; it ends with the test.
    func connection(_ url: PostgreSQLURL? = nil) throws -> TestConnection {
        let connector = try PostgreSQLConnector(url ?? self.url(), PostgreSQLLibrary.load(), timeout: .seconds(60))
        return TestConnection(try connector.connect(deadline: .now + .seconds(60)))
    }
}

/// Closes its connection at its end.
final class TestConnection {
    private let connection: PostgreSQLConnection

    init(_ connection: PostgreSQLConnection) { self.connection = connection }

    deinit { connection.close() }

    func query(_ sql: String) throws {
        connection.deadline = .now + .seconds(60)
        try connection.query(sql)
    }

    /// The first column of the first row.
    func value(_ sql: String) throws -> String? {
        connection.deadline = .now + .seconds(60)
        let name = "v\(UInt64.random(in: 0 ... .max))"
        return try connection.execute(PostgreSQLStatement(name: name, sql: sql), []).text(0, 0)
    }

    func perform(_ work: some PostgreSQLWork, isRepeat: Bool) throws {
        connection.deadline = .now + .seconds(60)
        try work.perform(on: connection, isRepeat: isRepeat)
    }
}
