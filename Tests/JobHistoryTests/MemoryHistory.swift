import FunctionKit
import JobHistory
import Synchronization

/// The rules of the history in their plainest form, against which the conformance suite itself is tested.
final class MemoryHistory: HistoryStore {
    private struct Entry {
        var job: HistoryJob
        var files: [Int64: HistoryFile] = [:]
    }

    private let entries = Mutex<[String: Entry]>([:])

    func insert(_ job: HistoryJob) async throws {
        try entries.withLock { entries in
            guard entries[job.id] == nil else { throw HistoryError(.duplicate, "a job of that id exists") }
            entries[job.id] = Entry(job: job)
        }
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
                error: change.error)
            return true
        }
    }

    func beginRound(
        after round: Int, of id: String, from states: Set<String>, at time: Timestamp
    ) async throws -> Bool {
        entries.withLock { entries in
            guard let job = entries[id]?.job, job.round == round, states.contains(job.status) else { return false }
            entries[id] = Entry(
                job: HistoryJob(
                    id: job.id, owner: job.owner, round: round + 1, status: "queued", fileIDs: job.fileIDs,
                    options: job.options, createdAt: job.createdAt, updatedAt: time))
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

    func list(states: Set<String>, changedBefore: Timestamp, limit: Int) async throws -> [HistoryJob] {
        let jobs = entries.withLock { $0.values.map(\.job) }
        return Array(
            jobs.filter { states.contains($0.status) && $0.updatedAt < changedBefore }
                .sorted { ($0.updatedAt, $0.id) < ($1.updatedAt, $1.id) }.prefix(limit))
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
    }

    func check() async throws {}
}
