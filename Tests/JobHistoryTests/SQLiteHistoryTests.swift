import Foundation
import FunctionKit
import GRDB
import Synchronization
import Testing

@testable import JobHistory

@Suite struct SQLiteHistoryTests {
    @Test(arguments: HistoryConformance.allCases)
    func sqliteConforms(_ rule: HistoryConformance) async throws {
        try await withFile { path in
            let store = try SQLiteHistory(path: path)
            try await rule.check(on: store)
            await store.close()
        }
    }

    @Test(arguments: HistoryConformance.allCases)
    func memoryConforms(_ rule: HistoryConformance) async throws {
        try await rule.check(on: MemoryHistory())
    }

    @Test func whatWasCommittedIsThereAfterReopening() async throws {
        try await withFile { path in
            let first = try SQLiteHistory(path: path)
            try await first.insert(HistoryConformance.job("j"))
            await first.close()
            let second = try SQLiteHistory(path: path)
            #expect(try await second.find("j") == HistoryConformance.job("j"))
            await second.close()
        }
    }

    @Test func everyCommitReachesTheDisk() async throws {
        try await withFile { path in
            let store = try SQLiteHistory(path: path)
            let (synchronous, mode, foreignKeys) = try await store.calls.write { db in
                (
                    try Int.fetchOne(db, sql: "PRAGMA synchronous"),
                    try String.fetchOne(db, sql: "PRAGMA journal_mode"),
                    try Int.fetchOne(db, sql: "PRAGMA foreign_keys")
                )
            }
            #expect(synchronous == 2)
            #expect(mode == "wal")
            #expect(foreignKeys == 1)
            await store.close()
        }
    }

    @Test func severalUsersOfOneFileSeeEachOthersWork() async throws {
        try await withFile { path in
            let stores = try (0..<4).map { _ in try SQLiteHistory(path: path) }
            try await withThrowingTaskGroup { group in
                for number in 0..<200 {
                    group.addTask { try await stores[number % 4].insert(HistoryConformance.job("j\(number)")) }
                }
                try await group.waitForAll()
            }
            for number in 0..<200 { #expect(try await stores[(number + 1) % 4].find("j\(number)") != nil) }
            for store in stores { await store.close() }
        }
    }

    @Test func aFileIsMadeOnceByManyWhoOpenItAtOnce() async throws {
        try await withFile { path in
            try await withThrowingTaskGroup { group in
                for _ in 0..<8 {
                    group.addTask {
                        let store = try SQLiteHistory(path: path)
                        try await store.check()
                        await store.close()
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test func concurrentInsertsShareTransactions() async throws {
        try await withFile { path in
            let store = try SQLiteHistory(path: path)
            let observer = CommitCounter()
            try await store.calls.write { $0.add(transactionObserver: observer) }
            let before = observer.count.withLock { $0 }
            try await withThrowingTaskGroup { group in
                for number in 0..<400 { group.addTask { try await store.insert(HistoryConformance.job("j\(number)")) } }
                try await group.waitForAll()
            }
            #expect(observer.count.withLock { $0 } - before < 200)
            await store.close()
        }
    }

    @Test func oneFailureInASharedTransactionHarmsNobodyElse() async throws {
        try await withFile { path in
            let store = try SQLiteHistory(path: path)
            try await store.insert(HistoryConformance.job("present"))
            let insertion = "INSERT INTO file_records (job_id, file_id, position, status) VALUES (?, ?, 0, 'pending')"
            let refused = await withTaskGroup(of: Int?.self) { group in
                for number in 0..<60 {
                    group.addTask {
                        do {
                            try await store.calls.write { db in
                                // Undone with what follows when that is refused.
                                try db.execute(
                                    sql: insertion,
                                    arguments: ["present", number])
                                try db.execute(
                                    sql: insertion,
                                    arguments: [number % 3 == 0 ? "absent" : "present", number + 1_000])
                            }
                            return nil
                        } catch {
                            return number
                        }
                    }
                }
                return await group.reduce(into: Set<Int>()) { if let number = $1 { $0.insert(number) } }
            }
            // The foreign key refuses every third.
            #expect(refused == Set(stride(from: 0, to: 60, by: 3)))
            #expect(try await store.files(of: "present").count == 80)
            await store.close()
        }
    }

    @Test func countsOfFilesFollowTheResults() async throws {
        try await withFile { path in
            let store = try SQLiteHistory(path: path)
            try await store.insert(HistoryConformance.job("j"))
            func result(_ id: Int64, _ status: String) -> HistoryFile {
                HistoryFile(
                    fileID: id, position: Int(id), status: status, key: nil, sizeBytes: nil, crc32: nil, error: nil,
                    processedAt: nil)
            }
            let files = [result(0, "completed"), result(1, "failed"), result(2, "pending")]
            #expect(try await store.record(files, of: "j", round: 1))
            let counts = try await store.calls.read { db in
                try Row.fetchOne(db, sql: "SELECT processed_files AS p, failed_files AS f FROM download_jobs")
                    .map { [$0["p"] as Int, $0["f"] as Int] }
            }
            #expect(counts == [2, 1])
            await store.close()
        }
    }

    @Test func aSlowDatabaseMeetsTheDeadlineAndTheBound() async throws {
        try await withFile { path in
            let store = try SQLiteHistory(path: path, timeout: .seconds(2), maxWaiting: 3)
            let gate = DispatchSemaphore(value: 0)
            // Holds the writer's queue, as a disk that does not answer would.
            store.calls.pool.asyncWriteWithoutTransaction { _ in gate.wait() }
            let first = Task { try await store.insert(HistoryConformance.job("a")) }
            let second = Task { try await store.insert(HistoryConformance.job("b")) }
            let third = Task { try await store.insert(HistoryConformance.job("c")) }
            try await until { store.calls.outstandingCount == 3 }
            await #expect(throws: HistoryError(.overloaded, "")) { try await store.check() }
            await #expect(throws: HistoryError(.timeout, "")) { try await first.value }
            await #expect(throws: HistoryError(.timeout, "")) { try await second.value }
            await #expect(throws: HistoryError(.timeout, "")) { try await third.value }
            gate.signal()
            try await until { (try? await store.check()) != nil }
            // What nobody waited for any more was not begun.
            #expect(try await store.find("a") == nil)
            await store.close()
        }
    }

    @Test func aCancelledCallerLeavesAtOnce() async throws {
        try await withFile { path in
            let store = try SQLiteHistory(path: path)
            let gate = DispatchSemaphore(value: 0)
            store.calls.pool.asyncWriteWithoutTransaction { _ in gate.wait() }
            let task = Task { try await store.insert(HistoryConformance.job("a")) }
            try await until { store.calls.outstandingCount == 1 }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            #expect(store.calls.outstandingCount == 0)
            gate.signal()
            try await store.check()
            #expect(try await store.find("a") == nil)
            await store.close()
        }
    }

    @Test func aLockHeldByAnotherIsReportedAsBusy() async throws {
        try await withFile { path in
            let store = try SQLiteHistory(path: path, timeout: .seconds(2))
            var configuration = Configuration()
            configuration.allowsUnsafeTransactions = true
            let other = try DatabaseQueue(path: path, configuration: configuration)
            try await other.writeWithoutTransaction { try $0.beginTransaction(.immediate) }
            await #expect(throws: HistoryError(.busy, "")) { try await store.check() }
            try await other.writeWithoutTransaction { try $0.rollback() }
            try await store.check()
            await store.close()
        }
    }

    @Test func aClosedStoreRefuses() async throws {
        try await withFile { path in
            let store = try SQLiteHistory(path: path)
            await store.close()
            await store.close()
            await #expect(throws: HistoryError(.closed, "")) { try await store.check() }
        }
    }

    @Test func aNewerFileIsRefused() async throws {
        try await withFile { path in
            await (try SQLiteHistory(path: path)).close()
            let other = try DatabaseQueue(path: path)
            try await other.write { try $0.execute(sql: "PRAGMA user_version = 999") }
            #expect(throws: HistoryError(.newerSchema, "")) { try SQLiteHistory(path: path) }
        }
    }

    @Test(arguments: 0..<SQLiteSchema.migrations.count)
    func `an older file is taken over with its jobs`(_ version: Int) async throws {
        try await withFile { path in
            let older = try DatabaseQueue(path: path)
            try await older.write { db in
                for migration in SQLiteSchema.migrations.prefix(version) { try db.execute(sql: migration.sql) }
                try db.execute(sql: "PRAGMA user_version = \(version)")
                if version > 0 {
                    try db.execute(
                        sql: """
                            INSERT INTO download_jobs
                              (job_id, round, status, total_files, file_ids, options, created_at, updated_at)
                            VALUES ('old', 1, 'queued', 1, '[7]', '{}', 1, 1)
                            """)
                }
            }
            try older.close()
            let before = try SQLiteHistory.schema(path: path)
            #expect(before.version == version && before.pending.count == SQLiteSchema.migrations.count - version)
            #expect(try SQLiteHistory.migrate(path: path) == before)
            #expect(try SQLiteHistory.schema(path: path).isCurrent)
            let store = try SQLiteHistory(path: path)
            #expect(try await store.find("old")?.fileIDs == (version > 0 ? [7] : nil))
            await store.close()
        }
    }

    @Test func `looking at a file's version neither makes nor changes it`() async throws {
        try await withFile { path in
            #expect(try SQLiteHistory.schema(path: path).version == 0)
            #expect(!FileManager.default.fileExists(atPath: path))
            await (try SQLiteHistory(path: path)).close()
            let other = try DatabaseQueue(path: path)
            try await other.write { try $0.execute(sql: "PRAGMA user_version = 999") }
            #expect(try SQLiteHistory.schema(path: path).isNewer)
            #expect(throws: HistoryError(.newerSchema, "")) { try SQLiteHistory.migrate(path: path) }
        }
    }

    @Test func aFileThatIsNoDatabaseIsRefused() async throws {
        try await withFile { path in
            try Data(repeating: 0x41, count: 8_192).write(to: URL(fileURLWithPath: path))
            #expect(throws: HistoryError(.corrupt, "")) { try SQLiteHistory(path: path) }
            #expect(throws: HistoryError(.failed, "")) { try SQLiteHistory(path: path + "/no/such/folder") }
        }
    }

    @Test func aRowThatCannotBeReadIsAnErrorNotACrash() async throws {
        try await withFile { path in
            let store = try SQLiteHistory(path: path)
            try await store.insert(HistoryConformance.job("j"))
            try await store.calls.write { try $0.execute(sql: #"UPDATE download_jobs SET file_ids = '["x"]'"#) }
            await #expect(throws: HistoryError(.corrupt, "")) { try await store.find("j") }
            try await store.calls.write {
                try $0.execute(sql: "UPDATE download_jobs SET file_ids = '[]', archive_key = 'k', archive_size = 1")
            }
            await #expect(throws: HistoryError(.corrupt, "")) { try await store.find("j") }
            await #expect { try await store.find("j") } throws: { ($0 as? any ClassifiedError)?.isUnavailable == false }
            await store.close()
        }
    }

    @Test func `rows that cannot be read hide no other`() async throws {
        try await withFile { path in
            let store = try SQLiteHistory(path: path)
            let ids = (0..<9).map { "job-\($0)" }
            for id in ids { try await store.insert(HistoryConformance.job(id)) }
            try await store.calls.write { db in
                try db.execute(sql: "UPDATE download_jobs SET expires_at = 5")
                try db.execute(
                    sql: #"UPDATE download_jobs SET file_ids = '[1.5]' WHERE job_id NOT IN ('job-1', 'job-7')"#)
                for position in [0, 1] {
                    try db.execute(
                        sql: """
                            INSERT INTO file_records (job_id, file_id, position, status, file_size)
                            VALUES ('job-1', \(position), \(position), 'completed', \(Int64.max))
                            """)
                }
            }
            let (states, late) = (Set(["queued"]), Timestamp(milliseconds: .max))
            var place: HistoryPlace?
            var seen: [String] = []
            repeat {
                let page = try await store.list(states: states, changedBefore: late, after: place, limit: 1)
                place = page.last.map { HistoryPlace(time: $0.updatedAt, id: $0.id) }
                seen += page.map(\.id)
            } while place != nil
            #expect(seen == ["job-1", "job-7"])
            #expect(
                try await store.list(states: states, expiresBefore: late, limit: 2).map(\.id) == ["job-1", "job-7"])
            let listed = try await store.list(HistoryQuery(owner: nil, at: .now, limit: 2))
            #expect(listed.map(\.job.id) == ["job-7", "job-1"] && listed.last?.completedBytes == .max)
            await store.close()
        }
    }

    // MARK: Support

    private func withFile(_ body: (String) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("history-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try await body(folder.appendingPathComponent("history.sqlite").path)
    }

    private func until(_ condition: () async -> Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(20)
        while await !condition() {
            try #require(ContinuousClock.now < deadline, "the condition did not come true")
            try await Task.sleep(for: .milliseconds(2))
        }
    }
}

private final class CommitCounter: TransactionObserver, Sendable {
    let count = Mutex(0)

    func observes(eventsOfKind eventKind: DatabaseEventKind) -> Bool { true }
    func databaseDidChange(with event: DatabaseEvent) {}
    func databaseDidCommit(_ db: Database) { count.withLock { $0 += 1 } }
    func databaseDidRollback(_ db: Database) {}
}
