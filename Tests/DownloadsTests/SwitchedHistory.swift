import FunctionKit
import Synchronization

/// The history, until some of its changes are switched off.
final class SwitchedHistory: HistoryStore {
    private let store: any HistoryStore
    /// Changes to these states fail after they were made, as when an answer is lost; `round` stands for a new round.
    let losesAnswers = Mutex<Set<String>>([])
    /// Changes to these states fail; `insert`, `find`, `round`, `raise`, `remove`, `list` and `lease` stand for those calls.
    let fails = Mutex<Set<String>>([])
    /// Runs before a change to the given state.
    let beforeChange = Mutex<@Sendable (String) async throws -> Void>({ _ in })

    init(_ store: any HistoryStore) { self.store = store }

    private func check(_ name: String) throws {
        if fails.withLock({ $0.contains(name) }) { throw StoreIsAway() }
    }

    func insert(_ job: HistoryJob) async throws {
        try check("insert")
        try await store.insert(job)
    }

    func insert(_ job: HistoryJob, key: HistoryKey) async throws -> HistoryKey {
        try check("insert")
        return try await store.insert(job, key: key)
    }

    func update(_ id: String, round: Int, from states: Set<String>, change: HistoryChange) async throws -> Bool {
        try await beforeChange.withLock { $0 }(change.status)
        try check(change.status)
        let result = try await store.update(id, round: round, from: states, change: change)
        if losesAnswers.withLock({ $0.contains(change.status) }) { throw StoreIsAway() }
        return result
    }

    func beginRound(
        after round: Int, of id: String, from states: Set<String>, at time: Timestamp
    ) async throws -> Bool {
        try await beforeChange.withLock { $0 }("round")
        try check("round")
        let result = try await store.beginRound(after: round, of: id, from: states, at: time)
        if losesAnswers.withLock({ $0.contains("round") }) { throw StoreIsAway() }
        return result
    }

    func raise(_ id: String, after round: Int, from states: Set<String>, at time: Timestamp) async throws -> Bool {
        try await beforeChange.withLock { $0 }("raise")
        try check("raise")
        return try await store.raise(id, after: round, from: states, at: time)
    }

    func find(_ id: String) async throws -> HistoryJob? {
        try check("find")
        return try await store.find(id)
    }
    func files(of id: String) async throws -> [HistoryFile] { try await store.files(of: id) }
    func record(_ files: [HistoryFile], of id: String, round: Int) async throws -> Bool {
        try await store.record(files, of: id, round: round)
    }
    func list(
        states: Set<String>, changedBefore: Timestamp, after place: HistoryPlace?, limit: Int
    ) async throws -> [HistoryJob] {
        try check("list")
        return try await store.list(states: states, changedBefore: changedBefore, after: place, limit: limit)
    }
    func listCallbacks(
        states: Set<String>, dueBefore: Timestamp, after place: HistoryPlace?, limit: Int
    ) async throws -> [HistoryJob] {
        try check("list")
        return try await store.listCallbacks(states: states, dueBefore: dueBefore, after: place, limit: limit)
    }
    func record(_ callback: HistoryCallback, of id: String) async throws -> Bool {
        try check("callback")
        return try await store.record(callback, of: id)
    }
    func list(_ query: HistoryQuery) async throws -> [HistorySummary] {
        try check("list")
        return try await store.list(query)
    }
    func removeKeys(expiredBefore: Timestamp, limit: Int) async throws -> Int {
        try check("remove")
        return try await store.removeKeys(expiredBefore: expiredBefore, limit: limit)
    }
    func lease(_ name: String, to holder: String, for duration: Duration, at time: Timestamp) async throws -> Bool {
        try check("lease")
        return try await store.lease(name, to: holder, for: duration, at: time)
    }
    func endLease(_ name: String, of holder: String) async throws { try await store.endLease(name, of: holder) }
    func list(states: Set<String>, expiresBefore: Timestamp, limit: Int) async throws -> [HistoryJob] {
        try check("list")
        return try await store.list(states: states, expiresBefore: expiresBefore, limit: limit)
    }
    func remove(_ id: String, round: Int, from states: Set<String>) async throws -> Bool {
        try check("remove")
        return try await store.remove(id, round: round, from: states)
    }
    func check() async throws { try await store.check() }
}
