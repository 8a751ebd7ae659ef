internal import FunctionKit

// The passes over the history.

extension Sweeper {
    func expireJobs(at now: Timestamp, _ report: inout SweepReport) async throws {
        // A job whose time is over at this very moment counts, as it does for those who ask.
        let bound = Timestamp(milliseconds: now.milliseconds + 1)
        report.expiredJobs += try await eachJob(&report) { limit in
            try await stores.history.list(states: [JobStatus.ready.rawValue], expiresBefore: bound, limit: limit)
        } body: { job in
            try await expire(job, at: now)
        }
    }

    func forgetJobs(at now: Timestamp, _ report: inout SweepReport) async throws {
        let states = Set<JobStatus>(JobStatus.allCases).subtracting(JobStatus.unfinished).names
        let retention = Int64(settings.recordRetention / .milliseconds(1))
        let bound = Timestamp(milliseconds: now.milliseconds - retention)
        report.forgottenJobs += try await eachJob(&report) { limit in
            try await stores.history.list(states: states, changedBefore: bound, limit: limit)
        } body: { job in
            try await forget(job)
        }
    }

    func forgetKeys(at now: Timestamp, _ report: inout SweepReport) async throws {
        while !isLate {
            let count = try await stores.history.removeKeys(expiredBefore: now, limit: Self.batchCount)
            report.forgottenKeys += count
            if count < Self.batchCount { return }
        }
        try Task.checkCancellation()
        report.isComplete = false
    }

    /// Deals with jobs in batches until the history lists no more that were not tried.
    ///
    /// - Returns: How many it was done for.
    private func eachJob(
        _ report: inout SweepReport, list: (Int) async throws -> [HistoryJob],
        body: @escaping @Sendable (HistoryJob) async throws -> Bool
    ) async throws -> Int {
        var count = 0
        /// Tried in vain: the history lists them again.
        var kept: Set<String> = []
        while kept.count < Self.failureLimit {
            guard !isLate else {
                report.isComplete = false
                break
            }
            let listed = try await list(Self.batchCount + kept.count)
            let jobs = listed.filter { !kept.contains($0.id) }
            if jobs.isEmpty { break }
            let outcomes = await each(jobs, name: \.id, body)
            for (job, outcome) in zip(jobs, outcomes) where outcome != .done { kept.insert(job.id) }
            count += outcomes.count(.done)
            report.failures += outcomes.count(.failed)
            if outcomes.count(.postponed) > 0 { report.isComplete = false }
        }
        try Task.checkCancellation()
        return count
    }

    private func expire(_ job: HistoryJob, at now: Timestamp) async throws -> Bool {
        let end = HistoryChange(status: JobStatus.expired.rawValue, at: now)
        guard let ended = try await stores.change(job, from: [.ready], to: end) else { return false }
        if let archive = job.archive { await stores.discard(archive) }
        do {
            try await stores.records.align(with: ended, files: try await stores.history.files(of: job.id))
        } catch {
            // Those who ask are told by the time itself.
            context.logger.warning(
                "the record of an expired job could not be written",
                metadata: ["job": "\(job.id)", "error": "\(error)"])
        }
        await stores.outbox.announce(ended)
        return true
    }

    private func forget(_ job: HistoryJob) async throws -> Bool {
        if let archive = job.archive { try await objects.delete(archive.key) }
        guard try await stores.history.remove(job.id, round: job.round, from: [job.status]) else { return false }
        // Its own time to live ends it at about this time, unless the retention was shortened.
        if let id = JobID(job.id) { try await stores.records.forget(id, round: job.round) }
        return true
    }
}
