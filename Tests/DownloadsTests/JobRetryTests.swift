import FunctionKit
import RedisClient
import Synchronization
import TestSupport
import Testing

@testable import Downloads
@testable import retry

/// A further round of a job that has ended.
@Suite struct JobRetryTests {
    /// Ends a job as its worker or a caller would.
    private func end(_ bench: DownloadBench, _ job: JobRecord, as status: JobStatus) async throws {
        switch status {
        case .cancelled: _ = try await JobCancellation(bench.context()).cancel(job.id)
        case .failed:
            bench.objects.inner.state.withLock { $0.writeFails = true }
            await #expect(throws: Permanent.self) {
                try await DownloadWorker(bench.context(attempt: 3)).work(bench.job(job, attempt: 3))
            }
            bench.objects.inner.state.withLock { $0.writeFails = false }
            bench.queue.move(job.id, to: .ended)
        case .ready, .expired:
            _ = try await DownloadWorker(bench.context()).work(bench.job(job))
            bench.queue.move(job.id, to: .ended)
            if status == .expired { _ = try await JobCancellation(bench.context()).cancel(job.id) }
        case .queued, .processing: break
        }
    }

    @Test(arguments: [JobStatus.failed, .expired, .cancelled])
    func `a job that has ended begins a new round and is worked`(_ status: JobStatus) async throws {
        try await DownloadBench.with { bench in
            bench.objects.add(70_000)
            let job = try await bench.accept([70_000, 70_001], name: "mine")
            try await end(bench, job, as: status)
            let before = try await bench.record(job.id)
            #expect(before.status == status)
            let subscription = try await bench.redis.subscribe(JobStore.channel(job.id))
            let response = try await Retry().handle(.get(job.id.description), bench.context())
            #expect(response.status == .accepted)
            #expect(response.headers[.location] == "/v1/download/job/\(job.id)")
            let body = try object(response)
            #expect(Set(body.keys) == ["jobId", "status", "message"])
            #expect(body["jobId"] as? String == job.id.description)
            #expect(body["status"] as? String == "queued")
            let record = try await bench.record(job.id)
            #expect(record.round == 2)
            #expect(record.seq == JobRecord.firstSeq(of: 2) && record.seq > before.seq)
            #expect(record.status == .queued && record.attempt == 0 && record.claim == 0)
            #expect(record.archive == nil && record.expiresAt == nil && record.failure == nil)
            #expect(record.files.allSatisfy { $0.state == .pending })
            #expect(record.archiveName == "mine.zip" && record.createdAt == job.createdAt)
            let row = try await bench.row(job.id)
            #expect(row.round == 2 && row.status == "queued" && row.archive == nil && row.error == nil)
            #expect(try await bench.history.files(of: job.id.description).isEmpty)
            #expect(bench.objects.inner.archives.isEmpty)
            for await element in subscription {
                guard case .message(let bytes) = element else { continue }
                let message = try object(String(buffer: bytes))
                #expect(message["type"] as? String == "status")
                #expect((message["data"] as? [String: Any])?["status"] as? String == "queued")
                break
            }
            #expect(try bench.queue.waitingRound(job.id) == 2)
            let added = try #require(bench.queue.added.withLock { $0.last })
            #expect(added.options.attempts == 3)
            // What the first round's worker may still bring changes nothing.
            #expect(try await DownloadWorker(bench.context()).work(bench.job(job)).status == .queued)
            #expect(try await bench.record(job.id) == record)
            let outcome = try await DownloadWorker(bench.context()).work(bench.job(record))
            #expect(outcome.status == .ready && outcome.round == 2)
            #expect(bench.objects.inner.archives == ["archives/\(job.id)/2-1.zip"])
        }
    }

    @Test(arguments: [JobStatus.queued, .processing, .ready])
    func `a job in another state is left alone`(_ status: JobStatus) async throws {
        try await DownloadBench.with { bench in
            bench.objects.add(70_000)
            let job = try await bench.accept([70_000])
            if status == .processing {
                let change = HistoryChange(status: "processing", at: .now)
                _ = try await bench.history.update(job.id.description, round: 1, from: ["queued"], change: change)
            } else {
                try await end(bench, job, as: status)
            }
            let (record, row) = (try await bench.record(job.id), try await bench.row(job.id))
            let error = await httpError { try await JobRetry(bench.context()).retry(job.id) }
            #expect(error?.status == .conflict)
            #expect(error?.message.contains(status.rawValue) == true)
            #expect(error?.headers[.retryAfter] == (status == .ready ? nil : "1"))
            #expect(try await bench.record(job.id) == record)
            #expect(try await bench.row(job.id) == row)
        }
    }

    @Test func `an archive past its time can be made anew before it was swept`() async throws {
        try await DownloadBench.with { bench in
            bench.objects.add(70_000)
            let job = try await bench.accept([70_000])
            _ = try await DownloadWorker(bench.context()).work(bench.job(job))
            bench.queue.move(job.id, to: .ended)
            _ = try await bench.history.update(
                job.id.description, round: 1, from: ["ready"],
                change: HistoryChange(status: "ready", at: .now, expiresAt: Timestamp.now))
            #expect(try await JobRetry(bench.context()).retry(job.id).round == 2)
            #expect(bench.objects.inner.archives.isEmpty)
        }
    }

    @Test func `an unknown job is not found and a malformed id is refused`() async throws {
        try await DownloadBench.with { bench in
            let unknown = await httpError { try await Retry().handle(.get(JobID().description), bench.context()) }
            #expect(unknown?.code == "not_found")
            let malformed = await httpError { try await Retry().handle(.get("nonsense"), bench.context()) }
            #expect(malformed?.code == "validation_failed")
        }
    }

    @Test func `a job whose retention is over is not found`() async throws {
        try await DownloadBench.with { bench in
            let old = Timestamp(milliseconds: Timestamp.now.milliseconds - 2_592_000_000)
            let id = JobID()
            try await bench.history.insert(
                HistoryJob(
                    id: id.description, owner: nil, round: 1, status: "failed", fileIDs: [70_000], options: "{}",
                    createdAt: old, updatedAt: old))
            #expect(await httpError { try await JobRetry(bench.context()).retry(id) }?.status == .notFound)
            #expect(await httpError { try await JobCancellation(bench.context()).cancel(id) }?.status == .notFound)
        }
    }

    @Test func `a job whose record and queue are gone is retried from the history`() async throws {
        try await DownloadBench.with { bench in
            bench.objects.add(70_000)
            let job = try await bench.accept([70_000], name: "mine")
            try await end(bench, job, as: .failed)
            _ = try await bench.redis.send(["FLUSHALL"])
            bench.queue.jobs.withLock { $0 = [:] }
            let record = try await JobRetry(bench.context()).retry(job.id)
            #expect(record.round == 2)
            #expect(try await bench.record(job.id) == record)
            #expect(try bench.queue.waitingRound(job.id) == 2)
            #expect(try await DownloadWorker(bench.context()).work(bench.job(record)).status == .ready)
        }
    }

    @Test func `a worker that still holds the job is waited for by the caller`() async throws {
        try await DownloadBench.with { bench in
            let job = try await bench.accept([70_000])
            try await end(bench, job, as: .failed)
            bench.queue.move(job.id, to: .active)
            let (record, row) = (try await bench.record(job.id), try await bench.row(job.id))
            let error = await httpError { try await JobRetry(bench.context()).retry(job.id) }
            #expect(error?.status == .conflict)
            #expect(error?.code == "still_active")
            #expect(error?.headers[.retryAfter] == "1")
            #expect(try await bench.record(job.id) == record)
            #expect(try await bench.row(job.id) == row)
        }
    }

    @Test(arguments: [true, false])
    func `a worker that takes the ended round up at the last moment is waited for`(_ letsGo: Bool) async throws {
        try await DownloadBench.with { bench in
            let job = try await bench.accept([70_000])
            try await end(bench, job, as: .failed)
            let calls = Mutex(0)
            bench.queue.beforeRequeue.withLock {
                $0 = {
                    let call = calls.withLock { calls in
                        calls += 1
                        return calls
                    }
                    if call == 1 { bench.queue.move(job.id, to: .active) }
                    if call == 3, letsGo { bench.queue.move(job.id, to: .ended) }
                }
            }
            if letsGo {
                #expect(try await JobRetry(bench.context()).retry(job.id).round == 2)
                #expect(try bench.queue.waitingRound(job.id) == 2)
                return
            }
            // It is accepted; the reconciler queues it when the worker has let go.
            #expect(try await JobRetry(bench.context()).retry(job.id).round == 2)
            let row = try await bench.row(job.id)
            #expect(row.round == 2 && row.status == "queued")
            #expect(try await bench.record(job.id).round == 2)
        }
    }

    @Test(arguments: ["record", "queue"])
    func `a round that cannot be queued is accepted and left to the reconciler`(_ part: String) async throws {
        try await DownloadBench.with { bench in
            let job = try await bench.accept([70_000])
            try await end(bench, job, as: .failed)
            if part == "record" {
                bench.keyValue.fails.withLock { $0 = { $0 == "job-create" } }
            } else {
                bench.queue.beforeRequeue.withLock { $0 = { throw StoreIsAway() } }
            }
            #expect(try await JobRetry(bench.context()).retry(job.id).round == 2)
            let row = try await bench.row(job.id)
            #expect(row.round == 2 && row.status == "queued")
            bench.keyValue.fails.withLock { $0 = { _ in false } }
            bench.queue.beforeRequeue.withLock { $0 = {} }
            let later = Timestamp.now + .seconds(6)
            let report = try await Reconciler(bench.context()).look(as: "a", at: later)
            #expect(report?.raisedJobs == 1)
            #expect(try bench.queue.waitingRound(job.id) == 3)
            #expect(try await bench.record(job.id).round == 3)
        }
    }

    @Test func `while Redis is away a round begins in the history and is queued later`() async throws {
        try await DownloadBench.with { bench in
            bench.objects.add(70_000)
            let job = try await bench.accept([70_000])
            try await end(bench, job, as: .failed)
            bench.setRedis(away: true)
            #expect(try await JobRetry(bench.context()).retry(job.id).round == 2)
            #expect(try await bench.context().downloadJob(job.id).status == .queued)
            #expect(await httpError { try await JobRetry(bench.context()).retry(job.id) }?.status == .conflict)
            bench.setRedis(away: false)
            // A worker of the round before is waited for.
            bench.queue.move(job.id, to: .active)
            let later = Timestamp.now + .seconds(6)
            #expect(try await Reconciler(bench.context()).look(as: "a", at: later)?.isEmpty == true)
            bench.queue.move(job.id, to: .ended)
            #expect(try await Reconciler(bench.context()).look(as: "a", at: later)?.raisedJobs == 1)
            let record = try await bench.record(job.id)
            #expect(record.round == 3 && record.status == .queued)
            #expect(try bench.queue.waitingRound(job.id) == 3)
        }
    }

    @Test func `nothing is changed while the history is away`() async throws {
        try await DownloadBench.with { bench in
            let job = try await bench.accept([70_000])
            try await end(bench, job, as: .failed)
            let row = try await bench.row(job.id)
            bench.history.fails.withLock { $0 = ["round"] }
            await #expect(throws: StoreIsAway.self) { try await JobRetry(bench.context()).retry(job.id) }
            #expect(try await bench.row(job.id) == row)
        }
    }

    @Test func `a lost answer of the history is no lost round`() async throws {
        try await DownloadBench.with { bench in
            let job = try await bench.accept([70_000])
            try await end(bench, job, as: .failed)
            bench.history.losesAnswers.withLock { $0 = ["round"] }
            #expect(try await JobRetry(bench.context()).retry(job.id).round == 2)
            #expect(try bench.queue.waitingRound(job.id) == 2)
        }
    }

    @Test func `of many concurrent retries one begins the round`() async throws {
        try await DownloadBench.with { bench in
            for _ in 0..<5 {
                let job = try await bench.accept([70_000])
                try await end(bench, job, as: .failed)
                let statuses = await withTaskGroup(of: Int.self) { group in
                    for _ in 0..<8 {
                        group.addTask {
                            await httpError { try await JobRetry(bench.context()).retry(job.id) }?.status.code ?? 202
                        }
                    }
                    return await group.reduce(into: []) { $0.append($1) }
                }
                #expect(statuses.sorted() == [202] + Array(repeating: 409, count: 7))
                #expect(try await bench.row(job.id).round == 2)
                #expect(try await bench.record(job.id).round == 2)
                #expect(try bench.queue.waitingRound(job.id) == 2)
            }
        }
    }

    @Test func `a retry that was overtaken leaves the later round queued`() async throws {
        try await DownloadBench.with { bench in
            let job = try await bench.accept([70_000])
            try await end(bench, job, as: .failed)
            // The first caller's process stands still while the round is cancelled and the next one is begun.
            let isFirst = Mutex(true)
            bench.queue.beforeRequeue.withLock {
                $0 = {
                    let stands = isFirst.withLock { flag in
                        defer { flag = false }
                        return flag
                    }
                    guard stands else { return }
                    _ = try await JobCancellation(bench.context()).cancel(job.id)
                    _ = try await JobRetry(bench.context()).retry(job.id)
                }
            }
            _ = try await JobRetry(bench.context()).retry(job.id)
            #expect(try await bench.row(job.id).round == 3)
            #expect(try await bench.record(job.id).round == 3)
            #expect(try bench.queue.waitingRound(job.id) == 3)
        }
    }

    @Test func `a late failure of the round before does not end one that is queued`() async throws {
        try await DownloadBench.with { bench in
            let job = try await bench.accept([70_000])
            try await end(bench, job, as: .failed)
            _ = try await JobRetry(bench.context()).retry(job.id)
            // The queue's clock is ahead of this host's.
            let later = Timestamp.now + .seconds(60)
            try await JobEvents(bench.context()).fail("x", of: job.id.description, at: later)
            #expect(try await bench.row(job.id).status == "queued")
            bench.queue.move(job.id, to: .ended)
            try await JobEvents(bench.context()).fail("x", of: job.id.description, at: later)
            #expect(try await bench.row(job.id).status == "failed")
        }
    }

    @Test func `a failure that the history missed is written before the retry`() async throws {
        try await DownloadBench.with { bench in
            let job = try await bench.accept([70_000])
            bench.history.fails.withLock { $0 = ["failed"] }
            try await end(bench, job, as: .failed)
            #expect(try await bench.row(job.id).status == "processing")
            bench.history.fails.withLock { $0 = [] }
            #expect(try await JobRetry(bench.context()).retry(job.id).round == 2)
        }
    }
}
