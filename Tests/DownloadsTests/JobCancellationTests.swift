import FunctionKit
import RedisClient
import Synchronization
import TestSupport
import Testing

@testable import Downloads
@testable import cancel

/// Jobs that are given up, at any time of their life.
@Suite struct JobCancellationTests {
    /// A worker looks twice a second; the rest is for a machine on which many tests run at once. Nothing else would
    /// stop the worker within half a minute.
    private static let patience = Duration.seconds(8)

    private func messages(_ bench: DownloadBench, _ id: JobID, _ body: () async throws -> Void) async throws -> [String]
    {
        let subscription = try await bench.redis.subscribe(JobStore.channel(id))
        try await body()
        _ = try await bench.redis.send(["PUBLISH", JobStore.channel(id), "end"])
        var statuses: [String] = []
        for await element in subscription {
            guard case .message(let bytes) = element else { continue }
            let text = String(buffer: bytes)
            if text == "end" { break }
            let data = try object(text)["data"] as? [String: Any]
            if let status = data?["status"] as? String { statuses.append(status) }
        }
        return statuses
    }

    @Test func `a queued job is cancelled everywhere`() async throws {
        try await DownloadBench.with { bench in
            let job = try await bench.accept([70_000])
            let seen = try await messages(bench, job.id) {
                let response = try await Cancel().handle(.get(job.id.description), bench.context())
                #expect(response.status == .accepted)
                #expect(String(buffer: response.body) == #"{"jobId":"\#(job.id)","status":"cancelled"}"#)
            }
            #expect(seen == ["cancelled"])
            let record = try await bench.record(job.id)
            #expect(record.status == .cancelled && record.failure == nil && record.seq > job.seq)
            let row = try await bench.row(job.id)
            #expect(row.status == "cancelled" && row.error == nil)
            #expect(bench.queue.jobs.withLock { $0.isEmpty })
            let again = await httpError { try await JobCancellation(bench.context()).cancel(job.id) }
            #expect(again?.status == .conflict && again?.code == "wrong_state")
        }
    }

    @Test func `a job that is ready loses its archive and expires`() async throws {
        try await DownloadBench.with { bench in
            bench.objects.add(70_000)
            let job = try await bench.accept([70_000])
            _ = try await DownloadWorker(bench.context()).work(bench.job(job))
            bench.queue.move(job.id, to: .ended)
            let ready = try await bench.record(job.id)
            let seen = try await messages(bench, job.id) {
                let response = try await Cancel().handle(.get(job.id.description), bench.context())
                #expect(try object(response)["status"] as? String == "expired")
            }
            #expect(seen == ["expired"])
            let record = try await bench.record(job.id)
            #expect(record.status == .expired && record.files == ready.files && record.progress == ready.progress)
            #expect(try await bench.row(job.id).status == "expired")
            #expect(bench.objects.inner.archives.isEmpty)
            // The queue's late word does not bring it back.
            let outcome = DownloadOutcome(
                status: .ready, round: 1, archive: ready.archive, expiresAt: ready.expiresAt)
            try await JobEvents(bench.context()).complete(outcome, of: job.id.description)
            #expect(try await bench.record(job.id) == record)
            #expect(await httpError { try await JobCancellation(bench.context()).cancel(job.id) }?.status == .conflict)
        }
    }

    @Test(arguments: ["failed", "expired", "cancelled", "past its time"])
    func `a job that is over is refused`(_ state: String) async throws {
        try await DownloadBench.with { bench in
            let isPast = state == "past its time"
            let job = try await bench.accept([70_000])
            _ = try await bench.history.update(
                job.id.description, round: 1, from: ["queued"],
                change: HistoryChange(status: isPast ? "ready" : state, at: .now, expiresAt: isPast ? .now : nil))
            let row = try await bench.row(job.id)
            let error = await httpError { try await JobCancellation(bench.context()).cancel(job.id) }
            #expect(error?.status == .conflict && error?.code == "wrong_state")
            #expect(try await bench.row(job.id) == row)
            // What the record had missed it was told.
            #expect(try await bench.record(job.id).status.isFinished)
        }
    }

    @Test func `an unknown job is not found and a malformed id is refused`() async throws {
        try await DownloadBench.with { bench in
            let unknown = await httpError { try await Cancel().handle(.get(JobID().description), bench.context()) }
            #expect(unknown?.code == "not_found")
            let malformed = await httpError { try await Cancel().handle(.get("x"), bench.context()) }
            #expect(malformed?.code == "validation_failed")
        }
    }

    @Test func `a worker in the middle of a slow store stops soon and leaves nothing`() async throws {
        try await DownloadBench.with { bench in
            // One file goes into an upload, the next one stalls.
            bench.objects.add(70_000, 12 << 20)
            bench.objects.add(70_001)
            bench.objects.add(70_002, 2 << 20)
            bench.objects.inner.fail("downloads/70002.zip", .slow(.seconds(30)))
            var quick = bench
            quick.settings.partBytes = 5 << 20
            let job = try await quick.accept([70_000, 70_001, 70_002])
            let context = quick.context()
            let work = Task { try await DownloadWorker(context).work(bench.job(job)) }
            bench.queue.move(job.id, to: .active)
            try await eventually {
                bench.objects.inner.state.withLock { $0.reads.contains { $0.key.contains("70002") } }
            }
            #expect(bench.objects.inner.state.withLock { $0.listedUploads.count } == 1)
            let began = ContinuousClock.now
            #expect(try await JobCancellation(bench.context()).cancel(job.id) == .cancelled)
            let outcome = try await work.value
            #expect(ContinuousClock.now - began < Self.patience)
            #expect(outcome.status == .cancelled && outcome.archive == nil)
            #expect(bench.objects.inner.state.withLock { $0.listedUploads.isEmpty && $0.aborted == 1 })
            #expect(bench.objects.inner.archives.isEmpty)
            #expect(try await bench.record(job.id).status == .cancelled)
            #expect(try await bench.row(job.id).status == "cancelled")
            // The worker held it, so the queue kept it.
            #expect(bench.queue.jobs.withLock { $0.count } == 1)
        }
    }

    @Test func `a worker whose job was taken over stops soon`() async throws {
        try await DownloadBench.with { bench in
            bench.objects.add(70_000)
            bench.objects.inner.fail("downloads/70000.zip", .slow(.seconds(30)), .none)
            let job = try await bench.accept([70_000])
            let work = Task { try await DownloadWorker(bench.context()).work(bench.job(job)) }
            try await eventually { bench.objects.inner.state.withLock { !$0.reads.isEmpty } }
            #expect(try await DownloadWorker(bench.context()).work(bench.job(job)).status == .ready)
            let began = ContinuousClock.now
            _ = try await work.value
            #expect(ContinuousClock.now - began < Self.patience)
            #expect(try await bench.record(job.id).status == .ready)
            #expect(bench.objects.inner.archives == ["archives/\(job.id)/1-2.zip"])
        }
    }

    @Test func `a worker whose record was lost lets go of the job`() async throws {
        try await DownloadBench.with { bench in
            bench.objects.add(70_000)
            bench.objects.inner.fail("downloads/70000.zip", .slow(.seconds(30)))
            let job = try await bench.accept([70_000])
            let work = Task { try await DownloadWorker(bench.context()).work(bench.job(job)) }
            try await eventually { bench.objects.inner.state.withLock { !$0.reads.isEmpty } }
            _ = try await bench.redis.send(["FLUSHALL"])
            #expect(try await work.value == DownloadOutcome(status: .processing, round: 1))
            #expect(try await bench.row(job.id).status == "processing")
            #expect(bench.objects.inner.archives.isEmpty)
        }
    }

    @Test func `a worker does not stop because Redis is away`() async throws {
        try await DownloadBench.with { bench in
            bench.objects.add(70_000)
            let looks = Mutex(0)
            bench.objects.beforeWrite.withLock {
                $0 = { _ in
                    bench.keyValue.fails.withLock {
                        $0 = { script in
                            if script == nil { looks.withLock { $0 += 1 } }
                            return true
                        }
                    }
                    try await eventually { looks.withLock { $0 } >= 2 }
                    bench.keyValue.fails.withLock { $0 = { _ in false } }
                }
            }
            let job = try await bench.accept([70_000])
            #expect(try await DownloadWorker(bench.context()).work(bench.job(job)).status == .ready)
        }
    }

    @Test func `while Redis is away a job is cancelled in the history, and the record is told later`() async throws {
        try await DownloadBench.with { bench in
            let job = try await bench.accept([70_000])
            let other = try await bench.accept([70_000])
            #expect(try await Reconciler(bench.context()).look(as: "a")?.isEmpty == true)
            bench.setRedis(away: true)
            #expect(try await JobCancellation(bench.context()).cancel(job.id) == .cancelled)
            #expect(try await bench.context().downloadJob(job.id).status == .cancelled)
            #expect(await httpError { try await JobCancellation(bench.context()).cancel(job.id) }?.status == .conflict)
            await #expect(throws: StoreIsAway.self) { try await Reconciler(bench.context()).look(as: "a") }
            bench.setRedis(away: false)
            #expect(try await bench.record(job.id).status == .queued)
            let seen = try await messages(bench, job.id) {
                let first = try await Reconciler(bench.context()).look(as: "a")
                let second = try await Reconciler(bench.context()).look(as: "a")
                #expect(first?.toldJobs == 1 && second?.isEmpty == true)
            }
            #expect(seen == ["cancelled"])
            #expect(try await bench.record(job.id).status == .cancelled)
            #expect(try await bench.record(other.id).status == .queued)
        }
    }

    @Test func `while Redis is away an archive is given up, and the record is told later`() async throws {
        try await DownloadBench.with { bench in
            bench.objects.add(70_000)
            let job = try await bench.accept([70_000])
            _ = try await DownloadWorker(bench.context()).work(bench.job(job))
            #expect(try await Reconciler(bench.context()).look(as: "a")?.isEmpty == true)
            bench.setRedis(away: true)
            #expect(try await JobCancellation(bench.context()).cancel(job.id) == .expired)
            #expect(bench.objects.inner.archives.isEmpty)
            bench.setRedis(away: false)
            #expect(try await Reconciler(bench.context()).look(as: "a")?.toldJobs == 1)
            #expect(try await bench.record(job.id).status == .expired)
        }
    }

    @Test func `a cancellation wins over a failure that the history has missed`() async throws {
        try await DownloadBench.with { bench in
            let job = try await bench.accept([70_000])
            bench.history.fails.withLock { $0 = ["failed"] }
            await #expect(throws: (any Error).self) {
                try await DownloadWorker(bench.context(attempt: 3)).work(bench.job(job, attempt: 3))
            }
            try #require(try await bench.record(job.id).status == .failed)
            bench.setRedis(away: true)
            #expect(try await JobCancellation(bench.context()).cancel(job.id) == .cancelled)
            bench.setRedis(away: false)
            #expect(try await Reconciler(bench.context()).look(as: "a")?.toldJobs == 1)
            #expect(try await bench.record(job.id).status == .cancelled)
        }
    }

    @Test func `a worker stops also while Redis is away`() async throws {
        try await DownloadBench.with { bench in
            bench.objects.add(70_000)
            bench.objects.inner.fail("downloads/70000.zip", .slow(.seconds(30)))
            let job = try await bench.accept([70_000])
            let work = Task { try await DownloadWorker(bench.context()).work(bench.job(job)) }
            try await eventually { bench.objects.inner.state.withLock { !$0.reads.isEmpty } }
            bench.setRedis(away: true)
            let began = ContinuousClock.now
            #expect(try await JobCancellation(bench.context()).cancel(job.id) == .cancelled)
            #expect(try await work.value == DownloadOutcome(status: .cancelled, round: 1))
            #expect(ContinuousClock.now - began < Self.patience)
            #expect(bench.objects.inner.archives.isEmpty)
        }
    }

    @Test(arguments: [true, false])
    func `a cancellation that meets the end of the work leaves one truth`(_ cancelsFirst: Bool) async throws {
        try await DownloadBench.with { bench in
            bench.objects.add(70_000)
            let job = try await bench.accept([70_000])
            let result = Mutex<JobStatus?>(nil)
            let isFirst = Mutex(true)
            // At the last moment before the worker's commit, or the other way round.
            bench.history.beforeChange.withLock {
                $0 = { status in
                    guard status == (cancelsFirst ? "ready" : "cancelled") else { return }
                    let mine = isFirst.withLock { flag in
                        defer { flag = false }
                        return flag
                    }
                    guard mine else { return }
                    if cancelsFirst {
                        let status = try await JobCancellation(bench.context()).cancel(job.id)
                        result.withLock { $0 = status }
                    } else {
                        _ = try await DownloadWorker(bench.context()).work(bench.job(job))
                    }
                }
            }
            if cancelsFirst {
                #expect(try await DownloadWorker(bench.context()).work(bench.job(job)).status == .cancelled)
                #expect(result.withLock { $0 } == .cancelled)
            } else {
                #expect(try await JobCancellation(bench.context()).cancel(job.id) == .expired)
            }
            let expected: JobStatus = cancelsFirst ? .cancelled : .expired
            #expect(try await bench.row(job.id).status == expected.rawValue)
            #expect(try await bench.record(job.id).status == expected)
            #expect(bench.objects.inner.archives.isEmpty)
        }
    }

    @Test func `a cancellation at any moment leaves one truth and nothing behind`() async throws {
        try await DownloadBench.with { bench in
            bench.objects.add(70_000)
            bench.objects.add(70_001)
            for turn in 0..<40 {
                let job = try await bench.accept([70_000, 70_001])
                let work = Task { try await DownloadWorker(bench.context()).work(bench.job(job)) }
                try await Task.sleep(for: .microseconds(turn * 200))
                let codes = await withTaskGroup(of: Int.self) { group in
                    for _ in 0..<3 {
                        group.addTask {
                            await httpError { try await JobCancellation(bench.context()).cancel(job.id) }?.status.code
                                ?? 202
                        }
                    }
                    return await group.reduce(into: []) { $0.append($1) }
                }
                #expect(codes.sorted() == [202, 409, 409])
                _ = try await work.value
                let row = try await bench.row(job.id)
                #expect(["cancelled", "expired"].contains(row.status))
                #expect(try await bench.record(job.id).status.rawValue == row.status)
                #expect(bench.objects.inner.archives.isEmpty)
            }
        }
    }

    @Test func `a lost answer of the history is no lost cancellation`() async throws {
        try await DownloadBench.with { bench in
            let job = try await bench.accept([70_000])
            bench.history.losesAnswers.withLock { $0 = ["cancelled"] }
            #expect(try await JobCancellation(bench.context()).cancel(job.id) == .cancelled)
            #expect(try await bench.record(job.id).status == .cancelled)
        }
    }

    @Test func `what could not be told at first is told by the worker or by the next caller`() async throws {
        try await DownloadBench.with { bench in
            for asksAgain in [true, false] {
                let job = try await bench.accept([70_000])
                bench.keyValue.fails.withLock { $0 = { $0 == "job-advance" } }
                bench.queue.isAway.withLock { $0 = true }
                #expect(try await JobCancellation(bench.context()).cancel(job.id) == .cancelled)
                #expect(try await bench.record(job.id).status == .queued)
                bench.keyValue.fails.withLock { $0 = { _ in false } }
                bench.queue.isAway.withLock { $0 = false }
                if asksAgain {
                    #expect(await httpError { try await JobCancellation(bench.context()).cancel(job.id) } != nil)
                } else {
                    #expect(try await DownloadWorker(bench.context()).work(bench.job(job)).status == .cancelled)
                }
                #expect(try await bench.record(job.id).status == .cancelled)
            }
        }
    }

    @Test func `the queue keeps a job that was retried meanwhile`() async throws {
        try await DownloadBench.with { bench in
            let job = try await bench.accept([70_000])
            let isFirst = Mutex(true)
            bench.queue.beforeRemove.withLock {
                $0 = {
                    let mine = isFirst.withLock { flag in
                        defer { flag = false }
                        return flag
                    }
                    if mine { _ = try await JobRetry(bench.context()).retry(job.id) }
                }
            }
            #expect(try await JobCancellation(bench.context()).cancel(job.id) == .cancelled)
            #expect(try await bench.row(job.id).status == "queued")
            #expect(try await bench.record(job.id).round == 2)
            #expect(try bench.queue.waitingRound(job.id) == 2)
        }
    }

    @Test func `an archive that cannot be deleted is left to the sweeper`() async throws {
        try await DownloadBench.with { bench in
            bench.objects.add(70_000)
            let job = try await bench.accept([70_000])
            _ = try await DownloadWorker(bench.context()).work(bench.job(job))
            let key = "archives/\(job.id)/1-1.zip"
            bench.objects.inner.state.withLock { $0.deleteFailures = [key] }
            #expect(try await JobCancellation(bench.context()).cancel(job.id) == .expired)
            #expect(try await bench.record(job.id).status == .expired)
        }
    }
}
