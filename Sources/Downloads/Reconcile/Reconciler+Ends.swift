internal import FunctionKit

// A job that is given up ends in the history first, also while Redis is away. Then its record still says that it waits, is
// worked or is ready, and so would every route, until somebody tells it.
//
// How far that was looked after is kept in Redis beside the records, so it shares their fate: where they are set back by a
// restart from an older file, or are gone, so is it. Jobs that became ready need no such look: the queue's event, or
// the next worker that gets the job, tells the record.

extension Reconciler {
    private static let key = "ferry:reconciled"
    private static let states: Set<JobStatus> = [.failed, .expired, .cancelled]
    /// A change is seen so much later than it says at most: hosts' clocks differ, and a commit takes up to its deadline.
    static let margin = Duration.seconds(30)

    /// Tells the records of jobs that have ended in the history since the last pass.
    ///
    /// - Returns: `false` when another holder has the lease.
    func tellRecords(_ report: inout ReconcileReport, _ lease: inout Lease) async throws -> Bool {
        let now = Timestamp.now
        if report.next.ended == nil {
            report.next.endedSince = now
            report.next.ended = HistoryPlace(time: try await lastPass(now) + (.zero - Self.margin), id: "")
        }
        var count = 0
        while !isLate, count < Self.lookCount {
            let jobs = try await stores.history.list(
                states: Self.states.names, changedBefore: now + Self.margin, after: report.next.ended,
                limit: Self.pageCount)
            if let last = jobs.last {
                guard try await take(&lease) else { return false }
                guard try await tell(jobs, &report) else { break }
                report.next.ended = HistoryPlace(time: last.updatedAt, id: last.id)
                count += jobs.count
            }
            guard jobs.count == Self.pageCount else {
                let began = report.next.endedSince ?? now
                if lease.isHeld {
                    _ = try await context.bindings.keyValue.send(["SET", Self.key, "\(began.milliseconds)"])
                }
                report.next.ended = nil
                break
            }
        }
        return true
    }

    /// When the last pass that came to its end began. Without one there is nothing to tell: records that Redis has forgotten
    /// are made from the history.
    private func lastPass(_ now: Timestamp) async throws -> Timestamp {
        let store = try context.bindings.keyValue
        if let time = try await store.send(["GET", Self.key]).integer { return Timestamp(milliseconds: time) }
        _ = try await store.send(["SET", Self.key, "\(now.milliseconds)", "NX"])
        return now
    }

    /// - Returns: Whether all of them were told.
    private func tell(_ jobs: [HistoryJob], _ report: inout ReconcileReport) async throws -> Bool {
        let known = jobs.compactMap { job in JobID(job.id).map { (job, $0) } }
        let standings = try await stores.records.standings(of: known.map(\.1))
        for ((job, _), standing) in zip(known, standings) {
            guard let standing, standing.round == job.round, let status = JobStatus(rawValue: job.status),
                JobStore.states(behind: status).contains(standing.status)
            else { continue }
            if isLate { return false }
            do {
                try await stores.records.align(with: job, files: try await stores.history.files(of: job.id))
                report.toldJobs += 1
            } catch let error as any ClassifiedError where !error.isUnavailable {
                context.logger.warning(
                    "a record could not be told of its job's end", metadata: ["job": "\(job.id)", "error": "\(error)"])
                report.failures += 1
            }
        }
        return true
    }
}
