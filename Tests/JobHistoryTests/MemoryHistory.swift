import FunctionKit
import JobHistory
import Synchronization

/// The rules of the history in their plainest form, against which the conformance suite itself is tested.
final class MemoryHistory: HistoryStore {
    private struct Entry {
        var job: HistoryJob
        var files: [Int64: HistoryFile] = [:]
    }

    private struct KeyName: Hashable {
        let owner: String?
        let text: String
    }

    private let entries = Mutex<[String: Entry]>([:])
    private let keys = Mutex<[KeyName: HistoryKey]>([:])
    private let leases = Mutex<[String: (holder: String, end: Timestamp)]>([:])

    func insert(_ job: HistoryJob) async throws {
        try entries.withLock { entries in
            guard entries[job.id] == nil else { throw HistoryError(.duplicate, "a job of that id exists") }
            entries[job.id] = Entry(job: job)
        }
    }

    func insert(_ job: HistoryJob, key: HistoryKey) async throws -> HistoryKey {
        try keys.withLock { keys in
            let name = KeyName(owner: job.owner, text: key.text)
            if let known = keys[name], known.expiresAt > job.createdAt { return known }
            try entries.withLock { entries in
                guard entries[job.id] == nil else { throw HistoryError(.duplicate, "a job of that id exists") }
                entries[job.id] = Entry(job: job)
            }
            keys[name] = key
            return key
        }
    }

    func removeKeys(expiredBefore: Timestamp, limit: Int) async throws -> Int {
        keys.withLock { keys in
            let old = keys.filter { $0.value.expiresAt < expiredBefore }.sorted {
                $0.value.expiresAt < $1.value.expiresAt
            }
            for (name, _) in old.prefix(limit) { keys[name] = nil }
            return min(old.count, limit)
        }
    }

    func lease(
        _ name: String, to holder: String, for duration: Duration, at time: Timestamp
    ) async throws -> Bool {
        leases.withLock { leases in
            if let lease = leases[name], lease.holder != holder, lease.end > time { return false }
            leases[name] = (holder, time + duration)
            return true
        }
    }

    func endLease(_ name: String, of holder: String) async throws {
        leases.withLock { if $0[name]?.holder == holder { $0[name] = nil } }
    }

    func find(_ id: String) async throws -> HistoryJob? { entries.withLock { $0[id]?.job } }

    func files(of id: String) async throws -> [HistoryFile] {
        entries.withLock { ($0[id]?.files.values).map(Array.init) ?? [] }.sorted { $0.position < $1.position }
    }

    func update(_ id: String, round: Int, from states: Set<String>, change: HistoryChange) async throws -> Bool {
        entries.withLock { entries in
            guard let job = entries[id]?.job, job.round == round, states.contains(job.status) else { return false }
            entries[id]?.job = HistoryJob(
                id: job.id, owner: job.owner, round: job.round, status: change.status, fileIDs: job.fileIDs,
                options: job.options, createdAt: job.createdAt, updatedAt: change.at,
                expiresAt: change.expiresAt ?? job.expiresAt, archive: change.archive ?? job.archive,
                error: change.error, raises: job.raises, callback: job.callback)
            return true
        }
    }

    func beginRound(
        after round: Int, of id: String, from states: Set<String>, at time: Timestamp
    ) async throws -> Bool {
        nextRound(of: id, after: round, from: states, at: time) { _ in 0 }
    }

    func raise(_ id: String, after round: Int, from states: Set<String>, at time: Timestamp) async throws -> Bool {
        nextRound(of: id, after: round, from: states, at: time) { $0 + 1 }
    }

    private func nextRound(
        of id: String, after round: Int, from states: Set<String>, at time: Timestamp, raises: (Int) -> Int
    ) -> Bool {
        entries.withLock { entries in
            guard let job = entries[id]?.job, job.round == round, states.contains(job.status) else { return false }
            entries[id] = Entry(
                job: HistoryJob(
                    id: job.id, owner: job.owner, round: round + 1, status: "queued", fileIDs: job.fileIDs,
                    options: job.options, createdAt: job.createdAt, updatedAt: time, raises: raises(job.raises),
                    callback: job.callback))
            return true
        }
    }

    func record(_ files: [HistoryFile], of id: String, round: Int) async throws -> Bool {
        entries.withLock { entries in
            guard entries[id]?.job.round == round else { return false }
            for file in files { entries[id]?.files[file.fileID] = file }
            return true
        }
    }

    func list(
        states: Set<String>, changedBefore: Timestamp, after place: HistoryPlace?, limit: Int
    ) async throws -> [HistoryJob] {
        let jobs = entries.withLock { $0.values.map(\.job) }
        return Array(
            jobs.filter { states.contains($0.status) && $0.updatedAt < changedBefore }
                .filter { job in place.map { (job.updatedAt, job.id) > ($0.time, $0.id) } ?? true }
                .sorted { ($0.updatedAt, $0.id) < ($1.updatedAt, $1.id) }.prefix(limit))
    }

    private static func isCurrent(_ callback: HistoryCallback, of job: HistoryJob) -> Bool {
        callback.round == job.round && callback.about == job.status
    }

    func listCallbacks(
        states: Set<String>, dueBefore: Timestamp, after place: HistoryPlace?, limit: Int
    ) async throws -> [HistoryJob] {
        try await list(states: states, changedBefore: dueBefore, after: place, limit: .max).filter { job in
            guard let callback = job.callback else { return false }
            guard Self.isCurrent(callback, of: job) else { return true }
            return callback.state == .pending && callback.nextAt.map { $0 < dueBefore } ?? true
        }.prefix(limit).map(\.self)
    }

    func record(_ callback: HistoryCallback, of id: String) async throws -> Bool {
        entries.withLock { entries in
            guard let job = entries[id]?.job, let known = job.callback, Self.isCurrent(callback, of: job) else {
                return false
            }
            if Self.isCurrent(known, of: job), known.state != .pending || known.attempts > callback.attempts {
                return false
            }
            entries[id]?.job = HistoryJob(
                id: job.id, owner: job.owner, round: job.round, status: job.status, fileIDs: job.fileIDs,
                options: job.options, createdAt: job.createdAt, updatedAt: job.updatedAt, expiresAt: job.expiresAt,
                archive: job.archive, error: job.error, raises: job.raises, callback: callback)
            return true
        }
    }

    func list(_ query: HistoryQuery) async throws -> [HistorySummary] {
        func status(_ job: HistoryJob) -> String {
            guard job.status == "ready", let expiresAt = job.expiresAt, expiresAt <= query.time else {
                return job.status
            }
            return "expired"
        }
        let found = entries.withLock { Array($0.values) }.filter { entry in
            entry.job.owner == query.owner && (query.status.map { $0 == status(entry.job) } ?? true)
                && (query.after.map { (entry.job.createdAt, entry.job.id) < ($0.time, $0.id) } ?? true)
        }
        return found.sorted { ($0.job.createdAt, $0.job.id) > ($1.job.createdAt, $1.job.id) }.prefix(query.limit).map {
            let files = $0.files.values
            return HistorySummary(
                job: $0.job, processedCount: files.count { $0.status != "pending" },
                completedBytes: files.filter { $0.status == "completed" }.reduce(0) { $0 + ($1.sizeBytes ?? 0) })
        }
    }

    func list(states: Set<String>, expiresBefore: Timestamp, limit: Int) async throws -> [HistoryJob] {
        func time(_ job: HistoryJob) -> Timestamp { job.expiresAt ?? expiresBefore }
        let jobs = entries.withLock { $0.values.map(\.job) }
        return Array(
            jobs.filter { states.contains($0.status) && time($0) < expiresBefore }
                .sorted { (time($0), $0.id) < (time($1), $1.id) }.prefix(limit))
    }

    func remove(_ id: String, round: Int, from states: Set<String>) async throws -> Bool {
        entries.withLock { entries in
            guard let job = entries[id]?.job, job.round == round, states.contains(job.status) else { return false }
            entries[id] = nil
            return true
        }
            && keys.withLock { keys in
                keys = keys.filter { $0.value.jobID != id }
                return true
            }
    }

    func check() async throws {}
}
