import FunctionKit
import Testing

/// The rules of keys under which jobs are accepted, and of leases.
extension HistoryConformance {
    private static func key(
        _ text: String, _ job: String, _ digest: String = "d", until end: Int64 = 9_000
    ) -> HistoryKey {
        HistoryKey(text: text, jobID: job, digest: digest, expiresAt: Timestamp(milliseconds: end))
    }

    func acceptsOneJobUnderAKey(_ store: any HistoryStore) async throws {
        let first = Self.key("k \"'ü", "a", "one")
        #expect(try await store.insert(Self.job("a"), key: first) == first)
        #expect(try await store.insert(Self.job("b"), key: Self.key("k \"'ü", "b", "two", until: 9_999)) == first)
        #expect(try await store.find("a") == Self.job("a"))
        #expect(try await store.find("b") == nil)
        // The same call once more, as when its answer was lost.
        #expect(try await store.insert(Self.job("a"), key: first) == first)
        let other = Self.key("other", "c")
        #expect(try await store.insert(Self.job("c"), key: other) == other)
        // A key of which nothing is written leaves nothing behind.
        await #expect(throws: (any Error).self) { try await store.insert(Self.job("a"), key: Self.key("third", "a")) }
        let third = Self.key("third", "d")
        #expect(try await store.insert(Self.job("d"), key: third) == third)
    }

    func keepsKeysApart(_ store: any HistoryStore) async throws {
        for (id, owner) in [("a", "ann"), ("b", "bob"), ("n", nil)] as [(String, String?)] {
            let key = Self.key("k", id)
            #expect(try await store.insert(Self.job(id, owner: owner), key: key) == key)
        }
        #expect(try await store.insert(Self.job("x", owner: "bob"), key: Self.key("k", "x")).jobID == "b")
        #expect(try await store.insert(Self.job("y"), key: Self.key("k", "y")).jobID == "n")
        #expect(try await store.insert(Self.job("z"), key: Self.key("K", "z")).jobID == "z")
    }

    func forgetsKeys(_ store: any HistoryStore) async throws {
        _ = try await store.insert(Self.job("a", at: 1_000), key: Self.key("k", "a", until: 2_000))
        #expect(try await store.insert(Self.job("b", at: 1_999), key: Self.key("k", "b")).jobID == "a")
        // Its time is over, whether or not it was removed.
        #expect(try await store.insert(Self.job("c", at: 2_000), key: Self.key("k", "c", until: 3_000)).jobID == "c")
        #expect(try await store.insert(Self.job("d", at: 2_500), key: Self.key("k", "d")).jobID == "c")
        _ = try await store.update(
            "c", round: 1, from: ["queued"], change: HistoryChange(status: "failed", at: Timestamp(milliseconds: 1)))
        #expect(try await store.remove("c", round: 1, from: ["failed"]))
        #expect(try await store.insert(Self.job("e", at: 2_500), key: Self.key("k", "e", until: 4_000)).jobID == "e")
        for (id, end) in [("f", 5_000), ("g", 6_000)] as [(String, Int64)] {
            _ = try await store.insert(Self.job(id), key: Self.key(id, id, until: end))
        }
        #expect(try await store.removeKeys(expiredBefore: Timestamp(milliseconds: 5_000), limit: 9) == 1)
        #expect(try await store.removeKeys(expiredBefore: Timestamp(milliseconds: 5_000), limit: 9) == 0)
        #expect(try await store.removeKeys(expiredBefore: Timestamp(milliseconds: 9_000), limit: 0) == 0)
        #expect(try await store.removeKeys(expiredBefore: Timestamp(milliseconds: 9_000), limit: 1) == 1)
        #expect(try await store.insert(Self.job("h"), key: Self.key("g", "h")).jobID == "g")
        #expect(try await store.find("e") != nil)
    }

    func acceptsOneOfMany(_ store: any HistoryStore) async throws {
        let kept = try await withThrowingTaskGroup(of: String.self) { group in
            for number in 0..<100 {
                group.addTask {
                    try await store.insert(Self.job("j\(number)"), key: Self.key("k", "j\(number)")).jobID
                }
            }
            return try await group.reduce(into: Set<String>()) { $0.insert($1) }
        }
        #expect(kept.count == 1)
        let jobs = try await store.list(HistoryQuery(owner: nil, at: Timestamp(milliseconds: 1), limit: 200))
        #expect(jobs.map(\.job.id) == Array(kept))
    }

    func leases(_ store: any HistoryStore) async throws {
        func take(_ holder: String, at time: Int64, _ name: String = "l") async throws -> Bool {
            try await store.lease(name, to: holder, for: .seconds(1), at: Timestamp(milliseconds: time))
        }
        #expect(try await take("a", at: 0))
        #expect(try await !take("b", at: 999))
        #expect(try await take("b", at: 999, "other"))
        #expect(try await take("a", at: 500))
        #expect(try await !take("b", at: 1_000))
        #expect(try await take("b", at: 1_500))
        #expect(try await !take("a", at: 1_600))
        try await store.endLease("l", of: "a")
        #expect(try await !take("a", at: 1_600))
        try await store.endLease("l", of: "b")
        #expect(try await take("a", at: 1_600))
        let winners = try await withThrowingTaskGroup(of: Bool.self) { group in
            for number in 0..<50 { group.addTask { try await take("h\(number)", at: 9_000) } }
            return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        #expect(winners == 1)
    }
}
