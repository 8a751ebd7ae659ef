import FunctionKit
import Testing

/// The rules of the end of a round, and of what follows it.
extension HistoryConformance {
    private static func ended(
        _ id: String, status: String, expires milliseconds: Int64? = nil, round: Int = 1
    ) -> HistoryJob {
        HistoryJob(
            id: id, owner: "ann", round: round, status: status, fileIDs: [70_000, 70_001], options: #"{"a":1}"#,
            createdAt: Timestamp(milliseconds: 1), updatedAt: Timestamp(milliseconds: 2),
            expiresAt: milliseconds.map(Timestamp.init(milliseconds:)),
            archive: HistoryArchive(key: "k", sizeBytes: 1, crc32: 2), error: "e")
    }

    func listsByExpiryAndState(_ store: any HistoryStore) async throws {
        try await store.insert(Self.ended("c", status: "ready", expires: 300))
        try await store.insert(Self.ended("a", status: "ready", expires: 100))
        try await store.insert(Self.ended("b", status: "expired", expires: 200))
        try await store.insert(Self.ended("d", status: "ready"))
        func ids(_ states: Set<String>, before: Int64, limit: Int = 10) async throws -> [String] {
            try await store.list(states: states, expiresBefore: Timestamp(milliseconds: before), limit: limit).map(\.id)
        }
        #expect(try await ids(["ready"], before: 1_000) == ["a", "c"])
        #expect(try await ids(["ready"], before: 300) == ["a"])
        #expect(try await ids(["ready", "expired"], before: 1_000, limit: 2) == ["a", "b"])
        #expect(try await ids([], before: 1_000).isEmpty)
        #expect(try await ids(["ready"], before: 1_000, limit: 0).isEmpty)
    }

    func removesWithItsFiles(_ store: any HistoryStore) async throws {
        for id in ["a", "b"] {
            try await store.insert(Self.ended(id, status: "failed", round: 2))
            _ = try await store.record([Self.file(70_000, 0, "completed")], of: id, round: 2)
        }
        #expect(try await !store.remove("a", round: 1, from: ["failed"]))
        #expect(try await !store.remove("a", round: 2, from: ["ready", "expired"]))
        #expect(try await !store.remove("a", round: 2, from: []))
        #expect(try await !store.remove("nobody", round: 2, from: ["failed"]))
        #expect(try await store.remove("a", round: 2, from: ["failed", "ready"]))
        #expect(try await store.find("a") == nil)
        #expect(try await store.files(of: "a").isEmpty)
        #expect(try await !store.remove("a", round: 2, from: ["failed"]))
        #expect(try await store.find("b") != nil)
        #expect(try await store.files(of: "b").count == 1)
    }

    func beginsARoundAsIfTheJobWereNew(_ store: any HistoryStore) async throws {
        let old = Self.ended("j", status: "expired", expires: 100)
        try await store.insert(old)
        _ = try await store.record([Self.file(70_000, 0, "completed")], of: "j", round: 1)
        let time = Timestamp(milliseconds: 5_000)
        #expect(try await store.beginRound(after: 1, of: "j", from: ["failed", "expired"], at: time))
        let new = HistoryJob(
            id: "j", owner: old.owner, round: 2, status: "queued", fileIDs: old.fileIDs, options: old.options,
            createdAt: old.createdAt, updatedAt: time)
        #expect(try await store.find("j") == new)
        #expect(try await store.files(of: "j").isEmpty)
        // What belongs to the round before comes too late.
        #expect(try await !store.record([Self.file(70_000, 0, "completed")], of: "j", round: 1))
        let late = HistoryChange(status: "ready", at: time)
        #expect(try await !store.update("j", round: 1, from: ["queued"], change: late))
        #expect(try await store.find("j") == new)
    }

    func beginsARoundOnlyWhereNamed(_ store: any HistoryStore) async throws {
        let job = Self.ended("j", status: "failed", round: 2)
        try await store.insert(job)
        let time = Timestamp(milliseconds: 5_000)
        #expect(try await !store.beginRound(after: 1, of: "j", from: ["failed"], at: time))
        #expect(try await !store.beginRound(after: 3, of: "j", from: ["failed"], at: time))
        #expect(try await !store.beginRound(after: 2, of: "j", from: ["ready", "queued"], at: time))
        #expect(try await !store.beginRound(after: 2, of: "j", from: [], at: time))
        #expect(try await !store.beginRound(after: 1, of: "nobody", from: ["failed"], at: time))
        #expect(try await store.find("j") == job)
    }

    func oneOfManyConcurrentRoundsBegins(_ store: any HistoryStore) async throws {
        try await store.insert(Self.ended("j", status: "failed"))
        let winners = try await withThrowingTaskGroup(of: Bool.self) { group in
            for number in 0..<100 {
                group.addTask {
                    try await store.beginRound(
                        after: 1, of: "j", from: ["failed"], at: Timestamp(milliseconds: 5_000 + Int64(number)))
                }
            }
            return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        #expect(winners == 1)
        #expect(try await store.find("j")?.round == 2)
    }
}
