import FunctionKit
import Synchronization

@testable import Downloads

/// A queue that notes what it is given, and whose jobs go where the test puts them.
final class NotingQueue: QueueProvider, JobQueue {
    struct Added: Sendable {
        let queue: String
        let data: String
        let options: JobOptions
    }

    /// Every addition, also of a job that was there.
    let added = Mutex<[Added]>([])
    let jobs = Mutex<[String: QueuedJob]>([:])
    let isAway = Mutex(false)
    /// How often it was asked how jobs stand.
    let looks = Mutex(0)
    /// Runs before a job is queued once more.
    let beforeRequeue = Mutex<@Sendable () async throws -> Void>({})
    /// Runs before a job is removed.
    let beforeRemove = Mutex<@Sendable () async throws -> Void>({})

    func queue(_ name: String) throws -> any JobQueue { self }

    /// The round for which a job waits.
    func waitingRound(_ id: JobID) throws -> Int? {
        guard let job = jobs.withLock({ $0[id.description] }), job.state == .waiting else { return nil }
        return try JSON.decode(DownloadTask.self, from: job.data).round
    }

    func move(_ id: JobID, to state: QueuedJob.State) {
        jobs.withLock { jobs in
            jobs[id.description] = QueuedJob(state: state, data: jobs[id.description]?.data ?? "")
        }
    }

    private func checkPresence() throws {
        if isAway.withLock({ $0 }) { throw StoreIsAway() }
    }

    func add(_ name: String, data: String, options: JobOptions) async throws -> JobAddition {
        try checkPresence()
        let id = options.id ?? ""
        added.withLock { $0.append(Added(queue: DownloadTask.queue, data: data, options: options)) }
        let isDuplicate = jobs.withLock { jobs in
            defer { jobs[id] = jobs[id] ?? QueuedJob(state: .waiting, data: data) }
            return jobs[id] != nil
        }
        return JobAddition(id: id, isDuplicate: isDuplicate)
    }

    func requeue(_ id: String, name: String, data: String, options: JobOptions) async throws -> JobRequeue {
        try await beforeRequeue.withLock { $0 }()
        try checkPresence()
        let result = jobs.withLock { jobs -> JobRequeue in
            let result: JobRequeue =
                switch jobs[id]?.state {
                case nil: .added
                case .ended: .requeued
                case .waiting: .waiting
                case .stray: .added
                case .active: .active
                }
            if result != .active { jobs[id] = QueuedJob(state: .waiting, data: data) }
            return result
        }
        if result != .active {
            added.withLock { $0.append(Added(queue: DownloadTask.queue, data: data, options: options)) }
        }
        return result
    }

    func find(_ ids: [String]) async throws -> [QueuedJob?] {
        looks.withLock { $0 += 1 }
        try checkPresence()
        return jobs.withLock { jobs in ids.map { jobs[$0] } }
    }

    func remove(_ id: String, data: String) async throws -> Bool {
        try await beforeRemove.withLock { $0 }()
        try checkPresence()
        return jobs.withLock { jobs in
            guard let job = jobs[id] else { return true }
            guard job.state != .active, job.data == data else { return false }
            jobs[id] = nil
            return true
        }
    }
}
