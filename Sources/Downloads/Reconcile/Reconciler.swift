public import FunctionKit

/// Finds accepted jobs that nobody is going to work, and has them worked.
///
/// The history knows every accepted job. One that it holds as unfinished, and that has not changed for a few seconds, is
/// looked up in the queue:
///
/// - It waits there or a worker has it, in its round: all is well. A worker that finds no record lets go of the job.
/// - It has ended there in its round: the history is brought in line, and the record with it.
/// - Otherwise it is lost, as after Redis was wiped, or was never queued, as when the process that accepted it died. Its
///   next round begins in the history; the record is written for that round, so that the numbers that watchers see go on
///   growing; the queue gets the job. That is done three times at most.
///
/// The other way round, a job may have ended in the history while Redis was away; see `tellRecords`.
/// Callbacks that are due and that the queue does not have are queued again, too (`Reconciler+Callbacks.swift`).
///
/// One process at a time looks: it holds a lease in the history. Two that both believe to have it do no harm: every
/// change is a compare-and-set on round and state in the history. What an operator throws away is finished in the history
/// first, so it is not seen here. A look goes through the jobs page by page, may stop anywhere, and stops after
/// some pages as long as nothing is lost: a long queue in which all is well costs little.
public struct Reconciler: Sendable {
    /// How often a job that is lost again is put back.
    static let limit = 3
    /// How many jobs the history lists at a time.
    static let pageCount = 200
    /// So many jobs a look goes through when all of them are well.
    static let lookCount = 1_000
    /// How many jobs are dealt with at the same time.
    private static let concurrency = 8
    /// The name of the lease.
    static let leaseName = "reconciler"

    let context: Context
    let stores: JobStores
    private let settings: DownloadsConfiguration
    private let events: JobEvents

    /// Makes a reconciler.
    ///
    /// - Parameter context: What the host lends; its deadline bounds a look.
    /// - Throws: ``FunctionKit/HTTPError`` 503 when a store is not configured.
    public init(_ context: Context) throws {
        self.context = context
        settings = context.downloads
        stores = try JobStores(context)
        events = try JobEvents(context)
    }

    enum Outcome: Sendable {
        case left
        case raised
        case closed
        case failed
        case raisedCallback
        case failedCallback
        case error
        /// A store is away: the others would fare no better.
        case away(any Error)
    }

    /// Looks for lost jobs and untold ends, as the holder of the lease.
    ///
    /// - Parameters:
    ///   - holder: Who looks; each process has a name of its own.
    ///   - place: Where the look before has stopped.
    ///   - now: The time by which jobs are old enough.
    /// - Returns: What was done; `nil` when another holder has the lease.
    /// - Throws: A store's error when it is away; what was done before stays done.
    /// - Cancellation: ends the look after what is under way.
    public func look(
        as holder: String, after place: ReconcilePlace = ReconcilePlace(), at now: Timestamp = .now
    ) async throws -> ReconcileReport? {
        var report = ReconcileReport()
        report.next = place
        var lease = Lease(holder: holder)
        guard try await raiseLost(at: now, &report, &lease), try await raiseCallbacks(at: now, &report, &lease),
            try await tellRecords(&report, &lease)
        else { return nil }
        return report
    }

    /// The right to look, which is not taken before there is something to look at: that costs a commit.
    struct Lease {
        let holder: String
        fileprivate(set) var isHeld = false
    }

    /// - Returns: `false` when another holder has the lease.
    func take(_ lease: inout Lease) async throws -> Bool {
        if !lease.isHeld {
            lease.isHeld = try await stores.history.lease(
                Self.leaseName, to: lease.holder, for: settings.reconcileLease, at: .now)
        }
        return lease.isHeld
    }

    /// - Returns: `false` when another holder has the lease.
    private func raiseLost(
        at now: Timestamp, _ report: inout ReconcileReport, _ lease: inout Lease
    ) async throws -> Bool {
        let bound = bound(at: now)
        var count = 0
        while !isLate, count < Self.lookCount || report.raisedJobs > 0 {
            let jobs = try await stores.history.list(
                states: JobStatus.unfinished.names, changedBefore: bound, after: report.next.unfinished,
                limit: Self.pageCount)
            if !jobs.isEmpty, try await !take(&lease) { return false }
            // A look that stopped midway begins this page again.
            guard try await settle(try await suspects(among: jobs), &report, settle) else { break }
            count += jobs.count
            report.next.unfinished = Self.end(of: jobs)
            if report.next.unfinished == nil { break }
        }
        return true
    }

    /// What has changed since is not looked at: whoever changed it may still be at work.
    func bound(at now: Timestamp) -> Timestamp { now + (.zero - settings.reconcileAge) }

    /// Where a page ended that others may follow; `nil` for the last one.
    static func end(of page: [HistoryJob]) -> HistoryPlace? {
        guard page.count == pageCount, let last = page.last else { return nil }
        return HistoryPlace(time: last.updatedAt, id: last.id)
    }

    /// The jobs that do not seem to be well, by one look at the queue for all.
    private func suspects(among jobs: [HistoryJob]) async throws -> [HistoryJob] {
        do {
            let found = try await stores.queue.find(jobs.map(\.id))
            return zip(jobs, found).filter { !Self.isWell($0, $1) }.map(\.0)
        } catch let error as any ClassifiedError where !error.isUnavailable {
            // One that cannot be read must not hide the others.
            context.logger.warning("jobs are looked up one by one", metadata: ["error": "\(error)"])
            return jobs
        }
    }

    private static func round(_ queued: QueuedJob?) -> Int {
        queued.flatMap { try? JSON.decode(DownloadTask.self, from: $0.data).round } ?? 0
    }

    /// Whether a worker has the job, will get it, or will have got a later round of it.
    private static func isWell(_ job: HistoryJob, _ queued: QueuedJob?) -> Bool {
        switch queued?.state {
        case .active: true
        case .waiting: round(queued) >= job.round
        case .ended: round(queued) > job.round
        case .stray, nil: false
        }
    }

    var isLate: Bool { context.remaining <= .zero || Task.isCancelled }

    /// - Returns: Whether all of them were looked at.
    func settle(
        _ jobs: [HistoryJob], _ report: inout ReconcileReport,
        _ body: @escaping @Sendable (HistoryJob) async throws -> Outcome
    ) async throws -> Bool {
        try await withThrowingTaskGroup(of: Outcome.self) { group in
            var waiting = jobs[...]
            var underWay = 0
            var outage: (any Error)?
            while true {
                while underWay < Self.concurrency, outage == nil, !isLate, let job = waiting.popFirst() {
                    underWay += 1
                    group.addTask { await outcome(of: job, body) }
                }
                guard let outcome = try await group.next() else { break }
                underWay -= 1
                switch outcome {
                case .left: continue
                case .raised: report.raisedJobs += 1
                case .closed: report.closedJobs += 1
                case .failed: report.failedJobs += 1
                case .raisedCallback: report.raisedCallbacks += 1
                case .failedCallback: report.failedCallbacks += 1
                case .error: report.failures += 1
                case .away(let error): outage = outage ?? error
                }
            }
            if let outage { throw outage }
            return waiting.isEmpty
        }
    }

    private func outcome(
        of job: HistoryJob, _ body: @Sendable (HistoryJob) async throws -> Outcome
    ) async -> Outcome {
        do {
            return try await body(job)
        } catch let error as any ClassifiedError where error.isUnavailable {
            return .away(error)
        } catch {
            context.logger.warning(
                "a job could not be reconciled", metadata: ["job": "\(job.id)", "error": "\(error)"])
            return .error
        }
    }

    private func settle(_ job: HistoryJob) async throws -> Outcome {
        // A row that is no download's is none of this queue's.
        guard let id = JobID(job.id) else { return .left }
        let queued = try await stores.queue.find(job.id)
        if Self.isWell(job, queued) { return .left }
        if let ending = queued?.ending, Self.round(queued) == job.round, try await close(job, id, ending) {
            return .closed
        }
        return try await raise(job, id)
    }

    /// Closes a job as its queue tells.
    ///
    /// - Returns: `false` when the worker found that there was nothing that it could work.
    private func close(_ job: HistoryJob, _ id: JobID, _ ending: QueuedJob.Ending) async throws -> Bool {
        if ending.isFailed {
            let closed = try await events.close(job, id, ending.text)
            try await stores.records.align(with: closed, files: try await stores.history.files(of: job.id))
            return true
        }
        guard let outcome = try? JSON.decode(DownloadOutcome.self, from: ending.text), outcome.status == .ready,
            outcome.round == job.round, outcome.archive != nil
        else { return false }
        try await events.complete(outcome, of: job.id)
        return true
    }

    private func raise(_ job: HistoryJob, _ id: JobID) async throws -> Outcome {
        guard job.raises < Self.limit, job.round < JobRecord.lastRound else { return try await giveUp(job) }
        let now = Timestamp.now
        let isBegun = try await stores.history.raise(
            job.id, after: job.round, from: JobStatus.unfinished.names, at: now)
        // Finished or tried again meanwhile, or another reconciler was faster.
        guard isBegun else { return .left }
        let record = JobRecord(
            id: id, round: job.round + 1, owner: job.owner, options: job.options, fileIDs: job.fileIDs,
            maxAttempts: settings.attempts, createdAt: job.createdAt, updatedAt: now)
        guard try await stores.records.create(record) else { return .left }
        let task = DownloadTask(record, requestID: context.requestID)
        // A worker that took up an older round at this moment finds nothing to do; the next look sees that.
        _ = try await stores.queue.requeue(
            job.id, name: DownloadTask.name, data: task.json, options: stores.queueOptions(for: record))
        context.logger.notice(
            "a lost job was queued again", metadata: ["job": "\(job.id)", "round": "\(record.round)"])
        return .raised
    }

    private func giveUp(_ job: HistoryJob) async throws -> Outcome {
        let failure = JobFailure(
            code: ErrorClass.storage.rawValue,
            message: "The job was lost by the queue \(job.raises &+ 1) times and is not queued again.")
        let end = HistoryChange(status: JobStatus.failed.rawValue, at: .now, error: failure.historyText)
        guard let ended = try await stores.change(job, from: JobStatus.unfinished, to: end) else { return .left }
        context.logger.error("a job was lost too often", metadata: ["job": "\(job.id)"])
        await stores.outbox.announce(ended)
        try await stores.records.align(with: ended, files: try await stores.history.files(of: job.id))
        return .failed
    }
}
