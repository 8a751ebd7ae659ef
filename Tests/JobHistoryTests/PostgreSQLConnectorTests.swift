import Foundation
import FunctionKit
import Synchronization
import Testing

@testable import JobHistory

@Suite struct PostgreSQLConnectorTests {
    @Test func `a call that finds no server is made as soon as there is one`() async throws {
        let server = try TestPostgreSQL()
        defer { server.remove() }
        let store = try await PostgreSQLHistory.open(server.url(), timeout: .seconds(60))
        try server.stop()
        // It would fail at its deadline.
        async let check: Void = store.check()
        try await until { store.calls.outstandingCount == 1 }
        try await Task.sleep(for: .milliseconds(300))
        try server.start()
        try await check
        await store.close()
    }

    @Test func `a server that takes connections and says nothing is given up for the next one`() async throws {
        let silent = try SilentServer()
        defer { silent.remove() }
        let server = try await TestPostgreSQL.shared()
        let url = try Self.url(hosts: [silent.folder, "/tmp/ferry-there-is-none", server.folder], "&connect_timeout=4")
        let store = try await PostgreSQLHistory.open(url, connections: 2, timeout: .seconds(60))
        try await store.check()
        // The one that answered is the first from now on.
        let again = ContinuousClock.now
        async let one: Void = store.calls.run { connection, _ in try connection.query("SELECT pg_sleep(0.2)") }
        async let other: Void = store.calls.run { connection, _ in try connection.query("SELECT pg_sleep(0.2)") }
        _ = try await (one, other)
        #expect(ContinuousClock.now - again < .seconds(4))
        await store.close()
    }

    @Test func `a server that begins to answer is found although an attempt hangs`() async throws {
        let server = try TestPostgreSQL()
        defer { server.remove() }
        let store = try await PostgreSQLHistory.open(server.url(), timeout: .seconds(60))
        try server.stop()
        let silent = try SilentServer(in: server.folder)
        async let check: Void = store.check()
        try await until { store.calls.outstandingCount == 1 }
        try await Task.sleep(for: .milliseconds(100))
        // The listener stays open behind the file that goes, so whoever has connected hears nothing still.
        try #require(unlink("\(server.folder)/.s.PGSQL.5432") == 0)
        try server.start()
        try await check
        withExtendedLifetime(silent) {}
        await store.close()
    }

    @Test func `a call that nobody waits for lets go of its attempt to connect`() async throws {
        let silent = try SilentServer()
        defer { silent.remove() }
        let url = try Self.url(hosts: [silent.folder], "&connect_timeout=50")
        let store = try PostgreSQLHistory.unmigrated(url, connections: 1, timeout: .seconds(60))
        let call = Task { try await store.check() }
        try await until { store.calls.outstandingCount == 1 }
        let start = ContinuousClock.now
        call.cancel()
        await #expect(throws: CancellationError.self) { try await call.value }
        await store.close()
        #expect(ContinuousClock.now - start < .seconds(5))
    }

    @Test func `the URL's limit of an attempt counts, and the reason is told`() async throws {
        let silent = try SilentServer()
        defer { silent.remove() }
        let url = try Self.url(hosts: [silent.folder], "&connect_timeout=1")
        let connector = try PostgreSQLConnector(url, .load(), timeout: .seconds(60))
        let start = ContinuousClock.now
        let failure = #expect(throws: PostgreSQLFailure.self) {
            _ = try connector.connect(deadline: .now + .seconds(60))
        }
        #expect((.seconds(1)..<(.seconds(10))).contains(ContinuousClock.now - start))
        #expect(failure?.isTransient == true && failure?.message.contains("within 1.0 seconds") == true)
        let late = #expect(throws: PostgreSQLFailure.self) {
            _ = try connector.connect(deadline: .now + .milliseconds(200))
        }
        #expect(late?.kind == .late)
    }

    @Test func `a server that refuses for good is the last that is asked`() async throws {
        let server = try await TestPostgreSQL.shared()
        let url = try Self.url(hosts: [server.folder, server.folder], database: "absent")
        let connector = try PostgreSQLConnector(url, .load(), timeout: .seconds(10))
        let failure = #expect(throws: PostgreSQLFailure.self) {
            _ = try connector.connect(deadline: .now + .seconds(60))
        }
        #expect(failure?.state == "3D000")
    }

    @Test func `a name that is not found is told as such`() async throws {
        let url = try #require(PostgreSQLURL("postgresql://ferry@no-such-host.invalid/postgres"))
        let connector = try PostgreSQLConnector(url, .load(), timeout: .seconds(10))
        let failure = #expect(throws: PostgreSQLFailure.self) {
            _ = try connector.connect(deadline: .now + .seconds(60))
        }
        #expect(failure?.isTransient == true && failure?.message.contains("no-such-host.invalid") == true)
    }

    @Test(arguments: [
        ([:], [PostgreSQLAddress()]),
        (["host": "a"], [PostgreSQLAddress(host: "a")]),
        (
            ["host": "a,,/c", "port": "1,2,"],
            [
                PostgreSQLAddress(host: "a", port: "1"), PostgreSQLAddress(port: "2"), PostgreSQLAddress(host: "/c"),
            ]
        ),
        (
            ["host": "a,b", "hostaddr": "::1,", "port": "7"],
            [PostgreSQLAddress(host: "a", numbers: "::1", port: "7"), PostgreSQLAddress(host: "b", port: "7")]
        ),
        // What does not fit is left to libpq.
        (["host": "a,b", "port": "1,2,3"], [PostgreSQLAddress()]),
    ])
    func `hosts, addresses and ports belong together`(_ values: [String: String], _ hosts: [PostgreSQLAddress]) {
        #expect(PostgreSQLConnector.hosts(values) == hosts)
    }

    @Test func `calls outlast a server that restarts again and again, and none is done twice`() async throws {
        let server = try TestPostgreSQL()
        defer { server.remove() }
        let store = try await PostgreSQLHistory.open(server.url(), timeout: .seconds(60))
        let job = HistoryConformance.job(NamedHistory.id("counted"))
        try await store.insert(job)
        let run = Run()
        let rounds = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<12 {
                group.addTask {
                    while !run.isOver {
                        let id = NamedHistory.id("j\(run.next())")
                        try await store.insert(HistoryConformance.job(id))
                        let found = try await store.find(id)
                        #expect(found?.id == id)
                    }
                    return 0
                }
            }
            group.addTask {
                // One at a time, each from the state of the one before: a change made twice or lost would fail.
                var round = 1
                while !run.isOver {
                    let time = Timestamp(milliseconds: 1_000_000 + Int64(round))
                    try #require(
                        try await store.beginRound(after: round, of: job.id, from: ["queued"], at: time), "\(round)")
                    round += 1
                }
                return round
            }
            group.addTask {
                defer { run.end() }
                for number in 0..<6 {
                    try server.stop(["INT", "QUIT", "KILL"][number % 3])
                    try server.start(isAwaited: number == 5)
                    if number % 2 == 0 { try await Task.sleep(for: .milliseconds(150)) }
                }
                return 0
            }
            return try await group.reduce(0, +)
        }
        let there = try await store.find(job.id)
        #expect(there?.round == rounds)
        let count = try server.connection().value("SELECT count(*) FROM download_jobs")
        #expect(count == "\(run.count + 1)")
        await store.close()
    }

    // MARK: Support

    /// What the tasks of a test share.
    private final class Run: Sendable {
        private let state = Mutex((count: 0, isOver: false))

        var count: Int { state.withLock { $0.count } }
        var isOver: Bool { state.withLock { $0.isOver } }

        func end() { state.withLock { $0.isOver = true } }

        func next() -> Int {
            state.withLock { state in
                state.count += 1
                return state.count
            }
        }
    }

    private static func url(
        hosts: [String], _ more: String = "", database: String = "postgres"
    ) throws -> PostgreSQLURL {
        let list = hosts.joined(separator: ",").replacingOccurrences(of: "/", with: "%2F")
        return try #require(PostgreSQLURL("postgresql://ferry@/\(database)?host=\(list)\(more)"))
    }

    private func until(_ condition: () async -> Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(20)
        while await !condition() {
            try #require(ContinuousClock.now < deadline, "the condition did not come true")
            try await Task.sleep(for: .milliseconds(2))
        }
    }
}
