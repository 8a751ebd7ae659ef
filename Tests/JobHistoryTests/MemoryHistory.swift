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

    func purge(createdBefore: Timestamp, limit: Int) async throws -> Int {
        entries.withLock { entries in
            let old = entries.values.map(\.job).filter { $0.createdAt < createdBefore }
                .sorted { $0.createdAt < $1.createdAt }.prefix(limit)
            for job in old { entries[job.id] = nil }
            return old.count
        }
    }

    func check() async throws {}
}
