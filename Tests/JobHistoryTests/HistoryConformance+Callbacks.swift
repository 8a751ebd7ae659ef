import FunctionKit
import Testing

/// The rules of telling somebody about a job's end.
extension HistoryConformance {
    private static func told(
        _ id: String, _ status: String, _ callback: HistoryCallback? = HistoryCallback(),
        at milliseconds: Int64 = 1_000,
        round: Int = 1
    ) -> HistoryJob {
        HistoryJob(
            id: id, owner: nil, round: round, status: status, fileIDs: [70_000], options: "{}",
            createdAt: Timestamp(milliseconds: 1), updatedAt: Timestamp(milliseconds: milliseconds), callback: callback)
    }

    private static func callback(
        _ attempts: Int, _ state: HistoryCallback.State = .pending, about: String = "ready", round: Int = 1,
        next milliseconds: Int64? = nil
    ) -> HistoryCallback {
        HistoryCallback(
            state: state, round: round, about: about, attempts: attempts,
            nextAt: milliseconds.map(Timestamp.init(milliseconds:)))
    }

    private static func due(
        _ store: any HistoryStore, before milliseconds: Int64 = 9_000, after place: HistoryPlace? = nil, limit: Int = 10
    ) async throws -> [String] {
        try await store.listCallbacks(
            states: ["ready", "failed", "expired"], dueBefore: Timestamp(milliseconds: milliseconds), after: place,
            limit: limit
        ).map(\.id)
    }

    func keepsEveryFieldOfACallback(_ store: any HistoryStore) async throws {
        try await store.insert(Self.told("none", "ready", nil))
        try await store.insert(Self.told("new", "queued"))
        let whole = HistoryCallback(
            state: .failed, round: 2, about: "failed", attempts: 7, answer: 503, error: "ü \"'",
            deliveredAt: Timestamp(milliseconds: 8), nextAt: Timestamp(milliseconds: 9))
        try await store.insert(Self.told("whole", "failed", whole, round: 2))
        #expect(try await store.find("none")?.callback == nil)
        #expect(try await store.find("new")?.callback == HistoryCallback())
        #expect(try await store.find("whole") == Self.told("whole", "failed", whole, round: 2))
        var later = whole
        later.state = .delivered
        later.answer = 204
        later.error = nil
        try await store.insert(Self.told("j", "failed", round: 2))
        #expect(try await store.record(later, of: "j"))
        #expect(try await store.find("j") == Self.told("j", "failed", later, round: 2))
    }

    func listsDueCallbacks(_ store: any HistoryStore) async throws {
        try await store.insert(Self.told("c", "ready", at: 300))
        try await store.insert(Self.told("a", "failed", at: 100))
        try await store.insert(Self.told("b", "expired", Self.callback(3, .delivered), at: 200))
        try await store.insert(Self.told("d", "ready", Self.callback(1, .delivered), at: 150))
        try await store.insert(Self.told("e", "ready", Self.callback(9, .failed), at: 150))
        try await store.insert(Self.told("f", "ready", Self.callback(1, next: 5_000), at: 400))
        // Told of the round before.
        try await store.insert(Self.told("g", "ready", Self.callback(1, .delivered, next: 9_999), at: 500, round: 2))
        try await store.insert(Self.told("h", "processing", at: 50))
        try await store.insert(Self.told("i", "ready", nil, at: 50))
        #expect(try await Self.due(store) == ["a", "b", "c", "f", "g"])
        #expect(try await Self.due(store, before: 5_000) == ["a", "b", "c", "g"])
        #expect(try await Self.due(store, before: 300) == ["a", "b"])
        #expect(try await Self.due(store, limit: 2) == ["a", "b"])
        let place = HistoryPlace(time: Timestamp(milliseconds: 200), id: "b")
        #expect(try await Self.due(store, after: place) == ["c", "f", "g"])
        #expect(try await Self.due(store, limit: 0).isEmpty)
        let none = try await store.listCallbacks(
            states: [], dueBefore: Timestamp(milliseconds: 9_000), after: nil, limit: 9)
        #expect(none.isEmpty)
    }

    func recordsCallbacks(_ store: any HistoryStore) async throws {
        try await store.insert(Self.told("j", "ready"))
        try await store.insert(Self.told("none", "ready", nil))
        #expect(try await !store.record(Self.callback(1), of: "none"))
        #expect(try await !store.record(Self.callback(1), of: "nobody"))
        #expect(try await !store.record(Self.callback(1, round: 2), of: "j"))
        #expect(try await !store.record(Self.callback(1, about: "failed"), of: "j"))
        #expect(try await store.record(Self.callback(2), of: "j"))
        #expect(try await !store.record(Self.callback(1), of: "j"))
        #expect(try await store.record(Self.callback(2, next: 5), of: "j"))
        #expect(try await store.record(Self.callback(2, .delivered), of: "j"))
        // What was told is told.
        #expect(try await !store.record(Self.callback(3), of: "j"))
        #expect(try await !store.record(Self.callback(2, .failed), of: "j"))
        #expect(try await store.find("j")?.callback == Self.callback(2, .delivered))
        #expect(try await store.find("none")?.callback == nil)
    }

    func makesCallbacksDue(_ store: any HistoryStore) async throws {
        try await store.insert(Self.told("j", "processing"))
        #expect(try await Self.due(store).isEmpty)
        func change(_ from: String, _ to: String, at milliseconds: Int64, round: Int = 1) async throws -> Bool {
            try await store.update(
                "j", round: round, from: [from],
                change: HistoryChange(status: to, at: Timestamp(milliseconds: milliseconds)))
        }
        #expect(try await change("processing", "ready", at: 2_000))
        #expect(try await Self.due(store) == ["j"])
        #expect(try await store.record(Self.callback(1, .delivered), of: "j"))
        #expect(try await Self.due(store).isEmpty)
        #expect(try await change("ready", "expired", at: 3_000))
        #expect(try await Self.due(store) == ["j"])
        // An answer to the message before comes too late.
        #expect(try await !store.record(Self.callback(2, .failed), of: "j"))
        let time = Timestamp(milliseconds: 4_000)
        #expect(try await store.beginRound(after: 1, of: "j", from: ["expired"], at: time))
        #expect(try await Self.due(store).isEmpty)
        #expect(try await change("queued", "ready", at: 5_000, round: 2))
        #expect(try await Self.due(store) == ["j"])
        #expect(try await store.record(Self.callback(1, .delivered, round: 2), of: "j"))
        #expect(try await Self.due(store).isEmpty)
    }
}
