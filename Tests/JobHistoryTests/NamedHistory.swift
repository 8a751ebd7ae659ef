import FunctionKit

/// A store whose ids are UUIDs, under the short names that the conformance suite gives jobs: a name's bytes are those of
/// the UUID, filled up with zeros, so that the order is the same.
struct NamedHistory: HistoryStore {
    let store: any HistoryStore

    static func id(_ name: String) -> String {
        precondition(name.utf8.count <= 16)
        let bytes = Array(name.utf8) + Array(repeating: 0, count: 16 - name.utf8.count)
        let digits = bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
        return [0..<4, 4..<6, 6..<8, 8..<10, 10..<16].map { digits[$0].joined() }.joined(separator: "-")
    }

    static func name(_ id: String) -> String {
        let digits = Array(id.filter { $0 != "-" })
        let bytes = stride(from: 0, to: digits.count, by: 2).compactMap {
            UInt8(String(digits[$0..<$0 + 2]), radix: 16)
        }
        return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }

    private func renamed(_ job: HistoryJob, _ id: String) -> HistoryJob {
        HistoryJob(
            id: id, owner: job.owner, round: job.round, status: job.status, fileIDs: job.fileIDs, options: job.options,
            createdAt: job.createdAt, updatedAt: job.updatedAt, expiresAt: job.expiresAt, archive: job.archive,
            error: job.error, raises: job.raises, callback: job.callback)
    }

    private func inner(_ job: HistoryJob) -> HistoryJob { renamed(job, Self.id(job.id)) }
    private func outer(_ job: HistoryJob) -> HistoryJob { renamed(job, Self.name(job.id)) }

    func insert(_ job: HistoryJob) async throws { try await store.insert(inner(job)) }

    func insert(_ job: HistoryJob, key: HistoryKey) async throws -> HistoryKey {
        let key = HistoryKey(
            text: key.text, jobID: Self.id(key.jobID), digest: key.digest, expiresAt: key.expiresAt)
        let found = try await store.insert(inner(job), key: key)
        return HistoryKey(
            text: found.text, jobID: Self.name(found.jobID), digest: found.digest, expiresAt: found.expiresAt)
    }

    func find(_ id: String) async throws -> HistoryJob? { try await store.find(Self.id(id)).map(outer) }

    func files(of id: String) async throws -> [HistoryFile] { try await store.files(of: Self.id(id)) }

    func update(_ id: String, round: Int, from states: Set<String>, change: HistoryChange) async throws -> Bool {
        try await store.update(Self.id(id), round: round, from: states, change: change)
    }

    func beginRound(after round: Int, of id: String, from states: Set<String>, at time: Timestamp) async throws -> Bool
    {
        try await store.beginRound(after: round, of: Self.id(id), from: states, at: time)
    }

    func raise(_ id: String, after round: Int, from states: Set<String>, at time: Timestamp) async throws -> Bool {
        try await store.raise(Self.id(id), after: round, from: states, at: time)
    }

    func record(_ files: [HistoryFile], of id: String, round: Int) async throws -> Bool {
        try await store.record(files, of: Self.id(id), round: round)
    }

    func list(
        states: Set<String>, changedBefore: Timestamp, after place: HistoryPlace?, limit: Int
    ) async throws -> [HistoryJob] {
        let place = place.map { HistoryPlace(time: $0.time, id: Self.id($0.id)) }
        return try await store.list(states: states, changedBefore: changedBefore, after: place, limit: limit).map(outer)
    }

    func list(states: Set<String>, expiresBefore: Timestamp, limit: Int) async throws -> [HistoryJob] {
        try await store.list(states: states, expiresBefore: expiresBefore, limit: limit).map(outer)
    }

    func listCallbacks(
        states: Set<String>, dueBefore: Timestamp, after place: HistoryPlace?, limit: Int
    ) async throws -> [HistoryJob] {
        let place = place.map { HistoryPlace(time: $0.time, id: Self.id($0.id)) }
        return try await store.listCallbacks(states: states, dueBefore: dueBefore, after: place, limit: limit)
            .map(outer)
    }

    func record(_ callback: HistoryCallback, of id: String) async throws -> Bool {
        try await store.record(callback, of: Self.id(id))
    }

    func list(_ query: HistoryQuery) async throws -> [HistorySummary] {
        var query = query
        query.after = query.after.map { HistoryPlace(time: $0.time, id: Self.id($0.id)) }
        return try await store.list(query).map {
            HistorySummary(job: outer($0.job), processedCount: $0.processedCount, completedBytes: $0.completedBytes)
        }
    }

    func remove(_ id: String, round: Int, from states: Set<String>) async throws -> Bool {
        try await store.remove(Self.id(id), round: round, from: states)
    }

    func removeKeys(expiredBefore: Timestamp, limit: Int) async throws -> Int {
        try await store.removeKeys(expiredBefore: expiredBefore, limit: limit)
    }

    func lease(_ name: String, to holder: String, for duration: Duration, at time: Timestamp) async throws -> Bool {
        try await store.lease(name, to: holder, for: duration, at: time)
    }

    func endLease(_ name: String, of holder: String) async throws { try await store.endLease(name, of: holder) }

    func check() async throws { try await store.check() }
}
