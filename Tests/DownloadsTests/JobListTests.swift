import Foundation
import FunctionKit
import Synchronization
import Testing

@testable import Downloads
@testable import jobs

/// The list of an owner's jobs.
@Suite struct JobListTests {
    private func list(_ bench: DownloadBench, _ query: String = "", as user: User? = nil) async throws -> [String: Any]
    {
        let request = Request(method: .get, path: "/v1/download/jobs", query: query)
        return try object(try await Jobs().handle(request, bench.context(user: user)))
    }

    private func ids(_ page: [String: Any]) throws -> [String] {
        try #require(page["jobs"] as? [[String: Any]]).map { $0["jobId"] as? String ?? "" }
    }

    private func add(
        _ bench: DownloadBench, at time: Timestamp, owner: String? = nil, status: String = "queued"
    ) async throws
        -> String
    {
        let id = JobID().description
        try await bench.history.insert(
            HistoryJob(
                id: id, owner: owner, round: 1, status: status, fileIDs: [70_000, 70_001], options: "{}",
                createdAt: time, updatedAt: time))
        return id
    }

    @Test func `pages follow each other, newest first, whatever is accepted meanwhile`() async throws {
        try await DownloadBench.with { bench in
            let base = Timestamp.now.milliseconds - 10_000
            var expected: [String] = []
            for number in 0..<7 {
                expected.insert(try await add(bench, at: Timestamp(milliseconds: base + Int64(number))), at: 0)
            }
            _ = try await add(bench, at: .now, owner: "ann")
            var seen: [String] = []
            var cursor: String?
            repeat {
                let page = try await list(bench, "limit=3" + (cursor.map { "&cursor=\($0)" } ?? ""))
                seen += try ids(page)
                cursor = page["nextCursor"] as? String
                _ = try await add(bench, at: .now)
            } while cursor != nil
            #expect(seen == expected)
            #expect(try ids(try await list(bench, "limit=100")).count == 10)
        }
    }

    @Test func `a job is shown as the history knows it`() async throws {
        try await DownloadBench.with { bench in
            bench.objects.add(70_000, 1_234)
            let job = try await bench.accept([70_000, 70_001])
            _ = try await DownloadWorker(bench.context()).work(bench.job(job))
            bench.keyValue.fails.withLock { $0 = { _ in true } }
            let page = try await list(bench)
            #expect(page["nextCursor"] is NSNull)
            let shown = try #require((page["jobs"] as? [[String: Any]])?.first)
            #expect(
                Set(shown.keys) == [
                    "jobId", "status", "progress", "error", "errorCode", "createdAt", "updatedAt", "expiresAt",
                ])
            #expect(shown["jobId"] as? String == job.id.description && shown["status"] as? String == "ready")
            let progress = try #require(shown["progress"] as? [String: Any])
            #expect(progress["current"] as? Int == 2 && progress["total"] as? Int == 2)
            #expect(progress["percentage"] as? Int == 100 && progress["bytes"] as? Int == 1_234)
            #expect(try ids(try await list(bench, "status=ready")).count == 1)
            for status in JobStatus.allCases where status != .ready {
                #expect(try ids(try await list(bench, "status=\(status.rawValue)")).isEmpty)
            }
            let past = HistoryChange(status: "ready", at: .now, expiresAt: .now)
            _ = try await bench.history.update(job.id.description, round: 1, from: ["ready"], change: past)
            #expect(try ids(try await list(bench, "status=ready")).isEmpty)
            #expect(try ids(try await list(bench, "status=expired")).count == 1)
        }
    }

    @Test func `everybody sees the jobs of their own`() async throws {
        try await DownloadBench.with { bench in
            let nobodys = try await add(bench, at: .now)
            let anns = try await add(bench, at: .now, owner: "ann")
            _ = try await add(bench, at: .now, owner: "bob")
            #expect(try ids(try await list(bench, as: User(id: "ann"))) == [anns])
            #expect(try ids(try await list(bench, as: User(id: "root", isAdmin: true))) == [])
            #expect(try ids(try await list(bench, as: .local)) == [nobodys])
            #expect(try ids(try await list(bench)) == [nobodys])
        }
    }

    @Test func `jobs past their retention, and rows that are none of a job's, are not shown`() async throws {
        try await DownloadBench.with { bench in
            let old = Timestamp(milliseconds: Timestamp.now.milliseconds - 2_592_000_001)
            _ = try await add(bench, at: old, status: "failed")
            _ = try await add(bench, at: .now, status: "of another program")
            let unfinished = try await add(bench, at: old)
            #expect(try ids(try await list(bench)) == [unfinished])
        }
    }

    @Test(arguments: [
        ("limit=0", ["limit"]), ("limit=101", ["limit"]), ("limit=1e1", ["limit"]), ("limit=", ["limit"]),
        ("limit=%2B5", ["limit"]), ("status=done", ["status"]), ("status=", ["status"]), ("cursor=x", ["cursor"]),
        ("cursor=", ["cursor"]), ("status=x&limit=x&cursor=x", ["status", "limit", "cursor"]),
        ("cursor=-1.00000000000040008000000000000000", ["cursor"]),
        ("cursor=zzzzzzzzzzzzzz.00000000000040008000000000000000", ["cursor"]),
        ("cursor=1.0000000000004000800000000000000é", ["cursor"]),
        ("cursor=1.éééééééééééééééé", ["cursor"]),
        ("cursor=1.%C3%A9%C3%A9%C3%A9%C3%A9%C3%A9%C3%A9%C3%A9%C3%A90000000000000000", ["cursor"]),
        ("cursor=zzzzzzzzzzz.00000000000040008000000000000000", ["cursor"]),
    ])
    func `every problem is told`(_ query: String, _ fields: [String]) async throws {
        try await DownloadBench.with { bench in
            let error = await httpError { try await list(bench, query) }
            #expect(error?.status == .badRequest && error?.code == "validation_failed")
            #expect(error?.details.map(\.field) == fields)
        }
    }

    @Test func `a cursor is a place`() {
        let place = HistoryPlace(time: .now, id: JobID().description)
        #expect(JobListCursor.place(JobListCursor.text(place)) == place)
    }
}
