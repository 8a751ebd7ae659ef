import FunctionKit
import Testing

/// The rules of lists, and of rounds that were lost.
extension HistoryConformance {
    func raisesARound(_ store: any HistoryStore) async throws {
        try await store.insert(Self.job("j", status: "processing"))
        _ = try await store.record([Self.file(70_000, 0, "completed")], of: "j", round: 1)
        let time = Timestamp(milliseconds: 5_000)
        #expect(try await !store.raise("j", after: 2, from: ["processing"], at: time))
        #expect(try await !store.raise("j", after: 1, from: ["queued"], at: time))
        #expect(try await !store.raise("j", after: 1, from: [], at: time))
        #expect(try await !store.raise("nobody", after: 1, from: ["queued"], at: time))
        #expect(try await store.raise("j", after: 1, from: ["queued", "processing"], at: time))
        let raised = try #require(try await store.find("j"))
        #expect((raised.round, raised.status, raised.raises, raised.updatedAt) == (2, "queued", 1, time))
        #expect(try await store.files(of: "j").isEmpty)
        #expect(try await store.raise("j", after: 2, from: ["queued"], at: time))
        let change = HistoryChange(status: "failed", at: time, error: "e")
        #expect(try await store.update("j", round: 3, from: ["queued"], change: change))
        #expect(try await store.find("j")?.raises == 2)
        #expect(try await store.beginRound(after: 3, of: "j", from: ["failed"], at: time))
        #expect(try await store.find("j")?.raises == 0)
    }

    func listsBehindAPlace(_ store: any HistoryStore) async throws {
        for (id, time) in [("b", 100), ("a", 100), ("c", 100), ("d", 50), ("e", 200)] as [(String, Int64)] {
            try await store.insert(Self.job(id, at: time))
        }
        var ids: [String] = []
        var place: HistoryPlace?
        while true {
            let page = try await store.list(
                states: ["queued"], changedBefore: Timestamp(milliseconds: 200), after: place, limit: 2)
            guard let last = page.last else { break }
            ids += page.map(\.id)
            place = HistoryPlace(time: last.updatedAt, id: last.id)
        }
        #expect(ids == ["d", "a", "b", "c"])
    }

    func listsAnOwnersJobs(_ store: any HistoryStore) async throws {
        for (id, time) in [("b", 100), ("a", 100), ("c", 100), ("d", 50), ("e", 200)] as [(String, Int64)] {
            try await store.insert(Self.job(id, at: time, owner: "ann"))
            try await store.insert(Self.job("n" + id, at: time))
        }
        for (owner, prefix) in [("ann", ""), (nil, "n")] as [(String?, String)] {
            var pages: [[String]] = []
            var query = HistoryQuery(owner: owner, at: Timestamp(milliseconds: 1_000), limit: 2)
            while let last = try await store.list(query).last {
                pages.append(try await store.list(query).map(\.job.id))
                query.after = HistoryPlace(time: last.job.createdAt, id: last.job.id)
                // A new job moves none of the pages behind.
                try await store.insert(Self.job("\(prefix)x\(pages.count)", at: 300, owner: owner))
            }
            #expect(pages == [["e", "c"], ["b", "a"], ["d"]].map { $0.map { prefix + $0 } })
        }
        #expect(try await store.list(HistoryQuery(owner: "bob", at: Timestamp(milliseconds: 1), limit: 9)).isEmpty)
        #expect(try await store.list(HistoryQuery(owner: "ann", at: Timestamp(milliseconds: 1), limit: 0)).isEmpty)
        #expect(try await store.list(HistoryQuery(owner: "", at: Timestamp(milliseconds: 1), limit: 9)).isEmpty)
    }

    func listsByStatusAtATime(_ store: any HistoryStore) async throws {
        func add(_ id: String, _ at: Int64, _ status: String, expires: Int64?) async throws {
            try await store.insert(
                HistoryJob(
                    id: id, owner: nil, round: 1, status: status, fileIDs: [70_000], options: "{}",
                    createdAt: Timestamp(milliseconds: at), updatedAt: Timestamp(milliseconds: at),
                    expiresAt: expires.map(Timestamp.init(milliseconds:))))
        }
        try await add("a", 1, "ready", expires: 500)
        try await add("b", 2, "ready", expires: 501)
        try await add("c", 3, "ready", expires: nil)
        try await add("d", 4, "expired", expires: 100)
        try await add("e", 5, "queued", expires: nil)
        func ids(_ status: String?, after: HistoryPlace? = nil) async throws -> [String] {
            try await store.list(
                HistoryQuery(
                    owner: nil, status: status, at: Timestamp(milliseconds: 500), after: after, limit: 10)
            ).map(\.job.id)
        }
        #expect(try await ids("ready") == ["c", "b"])
        #expect(try await ids("expired") == ["d", "a"])
        #expect(try await ids("queued") == ["e"])
        #expect(try await ids("failed") == [])
        #expect(try await ids(nil) == ["e", "d", "c", "b", "a"])
        #expect(try await ids("expired", after: HistoryPlace(time: Timestamp(milliseconds: 4), id: "d")) == ["a"])
    }

    func sumsResults(_ store: any HistoryStore) async throws {
        try await store.insert(Self.job("a", at: 2))
        try await store.insert(Self.job("b", at: 1))
        let files = [
            Self.file(70_000, 0, "completed"), Self.file(70_001, 1, "failed"), Self.file(70_002, 2, "pending"),
        ]
        _ = try await store.record(files, of: "a", round: 1)
        let found = try await store.list(HistoryQuery(owner: nil, at: Timestamp(milliseconds: 9), limit: 9))
        #expect(
            found == [
                HistorySummary(job: Self.job("a", at: 2), processedCount: 2, completedBytes: 5_000_000_000),
                HistorySummary(job: Self.job("b", at: 1), processedCount: 0, completedBytes: 0),
            ])
    }
}
