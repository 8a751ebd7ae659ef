import Foundation
import FunctionKit
import Testing

@testable import JobHistory

@Suite struct PostgreSQLHistoryTests {
    @Test(arguments: HistoryConformance.allCases)
    func `PostgreSQL conforms`(_ rule: HistoryConformance) async throws {
        try await withStore { store, _ in try await rule.check(on: NamedHistory(store: store)) }
    }

    @Test func `concurrent inserts share transactions`() async throws {
        try await withStore { store, connection in
            try await insert(0..<400, store)
            let count = try connection.value("SELECT count(DISTINCT xmin::text) FROM download_jobs")
            #expect(try #require(count.flatMap(Int.init)) < 200)
        }
    }

    @Test func `a value that its column cannot take harms no other insert`() async throws {
        try await withStore { store, connection in
            let refused = await withTaskGroup(of: Int?.self) { group in
                for number in 0..<60 {
                    group.addTask {
                        let owner: String? =
                            switch number % 20 {
                            case 3: String(repeating: "x", count: 256)
                            case 7: "a\0b"
                            default: nil
                            }
                        do {
                            try await store.insert(Self.job("j\(number)", owner: owner))
                            return nil
                        } catch {
                            return number
                        }
                    }
                }
                return await group.reduce(into: Set<Int>()) { if let number = $1 { $0.insert(number) } }
            }
            #expect(refused == [3, 7, 23, 27, 43, 47])
            let count = try connection.value("SELECT count(*) FROM download_jobs")
            #expect(count == "54")
        }
    }

    @Test func `an insert whose answer was lost is found again, another job of its id is not`() async throws {
        try await withStore { store, connection in
            let job = Self.job("j")
            try await store.insert(job)
            func again(_ job: HistoryJob, isRepeat: Bool) async throws {
                let pending = PendingCall<HistoryKey?>(deadline: .now + .seconds(20))
                let row = PostgreSQLInsertion.Row(content: .init(job: job), pending: pending)
                try connection.perform(PostgreSQLInsertion([row]), isRepeat: isRepeat)
                _ = try await pending.value()
            }
            try await again(job, isRepeat: true)
            await #expect(throws: HistoryError(.duplicate, "")) { try await again(job, isRepeat: false) }
            await #expect(throws: HistoryError(.duplicate, "")) {
                try await again(Self.job("j", owner: "other"), isRepeat: true)
            }
        }
    }

    @Test func `a server that is away is told within the deadline, and health sees it`() async throws {
        let server = try TestPostgreSQL()
        defer { server.remove() }
        let store = try await PostgreSQLHistory.open(server.url(), timeout: .seconds(1))
        try server.stop()
        let start = ContinuousClock.now
        let error = await #expect(throws: HistoryError.self) { try await store.check() }
        #expect(error?.isUnavailable == true)
        #expect(ContinuousClock.now - start < .seconds(5))
        await #expect(throws: HistoryError.self) {
            try await PostgreSQLHistory.open(server.url(), timeout: .seconds(1))
        }
        try server.start()
        try await until { (try? await store.check()) != nil }
        await store.close()
    }

    @Test func `a slow statement meets the deadline, a lock is reported as busy`() async throws {
        try await withStore(timeout: .seconds(2)) { store, connection in
            try await store.insert(Self.job("j"))
            await #expect(throws: HistoryError(.timeout, "")) {
                try await store.calls.run { connection, _ in try connection.query("SELECT pg_sleep(30)") }
            }
            try connection.query("BEGIN; LOCK TABLE history_checks")
            await #expect(throws: HistoryError(.busy, "")) { try await store.check() }
            try connection.query("ROLLBACK")
            try await store.check()
        }
    }

    @Test func `the number of calls and of connections is bounded`() async throws {
        let server = try await TestPostgreSQL.shared()
        let store = try await PostgreSQLHistory.open(
            server.freshURL(), connections: 2, timeout: .seconds(20), maxWaiting: 6)
        let sleepers = (0..<6).map { _ in
            Task { try await store.calls.run { connection, _ in try connection.query("SELECT pg_sleep(0.5)") } }
        }
        try await until { store.calls.outstandingCount == 6 }
        await #expect(throws: HistoryError(.overloaded, "")) { try await store.check() }
        sleepers[5].cancel()
        await #expect(throws: CancellationError.self) { try await sleepers[5].value }
        for sleeper in sleepers.dropLast() { try await sleeper.value }
        try await until { store.calls.idleCount == 2 }
        await store.close()
        await store.close()
        await #expect(throws: HistoryError(.closed, "")) { try await store.check() }
    }

    @Test func `several stores that start at once make the tables once`() async throws {
        let server = try await TestPostgreSQL.shared()
        let url = try server.freshURL()
        try await withThrowingTaskGroup { group in
            for _ in 0..<8 {
                group.addTask {
                    let store = try await PostgreSQLHistory.open(url, connections: 1, timeout: .seconds(30))
                    try await store.check()
                    await store.close()
                }
            }
            try await group.waitForAll()
        }
        let count = try server.connection(url).value("SELECT count(*) FROM ferry_migrations")
        #expect(count == "\(PostgreSQLSchema.migrations.count)")
    }

    @Test(arguments: 0..<PostgreSQLSchema.migrations.count)
    func `an older database is taken over with its jobs`(_ version: Int) async throws {
        let server = try await TestPostgreSQL.shared()
        let url = try server.freshURL()
        let connection = try server.connection(url)
        try connection.query("CREATE TABLE ferry_migrations (version INT PRIMARY KEY, name TEXT NOT NULL)")
        for (index, migration) in PostgreSQLSchema.migrations.prefix(version).enumerated() {
            try connection.query(migration.sql)
            try connection.query("INSERT INTO ferry_migrations VALUES (\(index + 1), 'x')")
        }
        if version > 0 {
            try connection.query(
                """
                INSERT INTO download_jobs (job_id, total_files, file_ids) VALUES ('\(Self.id("old"))', 1, '{7}')
                """)
        }
        let before = try await PostgreSQLHistory.schema(url).found
        #expect(before.version == version && before.pending.count == PostgreSQLSchema.migrations.count - version)
        #expect(try await PostgreSQLHistory.migrate(url).found == before)
        #expect(try await PostgreSQLHistory.schema(url).found.isCurrent)
        let store = try await PostgreSQLHistory.open(url)
        #expect(try await store.find(Self.id("old"))?.fileIDs == (version > 0 ? [7] : nil))
        try await store.insert(Self.job("new"))
        await store.close()
    }

    @Test func `a newer database is refused`() async throws {
        try await withStore { store, connection in
            try connection.query("INSERT INTO ferry_migrations (version, name) VALUES (999, 'later')")
            await #expect(throws: HistoryError(.newerSchema, "")) { _ = try await store.migrate() }
        }
    }

    @Test func `a database that is not there is refused at once, without the password`() async throws {
        let server = try await TestPostgreSQL.shared()
        let error = await #expect(throws: HistoryError(.failed, "")) {
            _ = try await PostgreSQLHistory.open(server.url(database: "absent"), timeout: .seconds(60))
        }
        let message = try #require(error?.message)
        #expect(message.contains("3D000") && message.contains("absent") && !message.contains("s3cret-word"))
        let (place, _) = try await PostgreSQLHistory.schema(server.url())
        #expect(place.hasPrefix("postgres at ") && !place.contains("s3cret-word"))
    }

    @Test func `an id that is no UUID is nobody's, and is refused for a new job`() async throws {
        try await withStore { store, _ in
            for id in ["x'; DROP TABLE download_jobs; --", Self.id("j").uppercased(), Self.id("j") + "a"] {
                let found = try await store.find(id)
                #expect(found == nil)
            }
            await #expect(throws: HistoryError(.failed, "")) { try await store.insert(HistoryConformance.job("short")) }
        }
    }

    @Test(arguments: [
        ("postgresql://u:p%40ss@h:5432/d?sslmode=verify-full", true), ("postgres:///d?host=/run/x", true),
        ("postgresql://h1,h2/d", true), ("mysql://h/d", false), ("postgresql://u:p@ss@h/d", false),
        ("postgresql://u:pa/ss@h/d", false), ("postgresql://u:pa?ss@h/d", false), ("postgresql://h/\0", false),
    ])
    func `a URL whose password would show is refused`(_ text: String, _ isTaken: Bool) {
        #expect((PostgreSQLURL(text) != nil) == isTaken)
    }

    @Test func `an unknown parameter of the URL is named`() async throws {
        let url = try #require(PostgreSQLURL("postgresql://u:s3cret-word@h/d?sslmod=require"))
        let error = await #expect(throws: HistoryError(.failed, "")) { _ = try await PostgreSQLHistory.open(url) }
        let message = try #require(error?.message)
        #expect(message.contains("sslmod") && !message.contains("s3cret-word"))
    }

    // MARK: Support

    private static func id(_ name: String) -> String { NamedHistory.id(name) }

    private static func job(_ name: String, owner: String? = nil) -> HistoryJob {
        HistoryConformance.job(id(name), owner: owner)
    }

    private func insert(_ numbers: Range<Int>, _ store: PostgreSQLHistory) async throws {
        try await withThrowingTaskGroup { group in
            for number in numbers { group.addTask { try await store.insert(Self.job("j\(number)")) } }
            try await group.waitForAll()
        }
    }

    private func withStore(
        timeout: Duration = .seconds(20), _ body: (PostgreSQLHistory, TestConnection) async throws -> Void
    ) async throws {
        let server = try await TestPostgreSQL.shared()
        let url = try server.freshURL()
        let store = try await PostgreSQLHistory.open(url, timeout: timeout)
        let connection = try server.connection(url)
        do {
            try await body(store, connection)
            await store.close()
        } catch {
            await store.close()
            throw error
        }
    }

    private func until(_ condition: () async -> Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(20)
        while await !condition() {
            try #require(ContinuousClock.now < deadline, "the condition did not come true")
            try await Task.sleep(for: .milliseconds(2))
        }
    }
}
