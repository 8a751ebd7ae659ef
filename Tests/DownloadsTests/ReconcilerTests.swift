import FunctionKit
import RedisClient
import Synchronization
import Testing

@testable import Downloads

/// Accepted jobs that nobody is going to work are found, and no others.
@Suite struct ReconcilerTests {
    private func look(
        _ bench: DownloadBench, as holder: String = "a", after time: Duration = .seconds(6)
    ) async throws -> ReconcileReport? {
        try await Reconciler(bench.context()).look(as: holder, at: .now + time)
    }

    /// Redis as it is after FLUSHALL.
    private func wipe(_ bench: DownloadBench) async throws {
        _ = try await bench.redis.send(["FLUSHALL"])
        bench.queue.jobs.withLock { $0 = [:] }
    }

    @Test func `a job that Redis has lost begins its next round, and its watchers see it end`() async throws {
        try await DownloadBench.with { bench in
            bench.objects.add(70_000)
            let job = try await bench.accept([70_000], name: "mine")
            var watch = try await JobWatch(job.id, after: 0, bench.context())
            var seen = try #require(try await watch.next()).seen
            try await wipe(bench)
            #expect(try await look(bench)?.raisedJobs == 1)
            let record = try await bench.record(job.id)
            #expect(record.round == 2 && record.status == .queued && record.archiveName == "mine.zip")
            let row = try await bench.row(job.id)
            #expect(row.round == 2 && row.raises == 1 && row.createdAt == job.createdAt)
            #expect(try bench.queue.waitingRound(job.id) == 2)
            #expect(bench.queue.added.withLock { $0.last?.options.keepFailed } == KeepRule(age: .seconds(2_592_000)))
            _ = try await DownloadWorker(bench.context()).work(bench.job(record))
            while let messages = try await watch.next() { seen += try messages.seen }
            #expect(seen.names.last == "complete:ready")
            #expect(seen.map(\.seq) == seen.map(\.seq).sorted())
            #expect(try await bench.row(job.id).status == "ready")
            #expect(try await look(bench)?.isEmpty == true)
        }
    }

    @Test func `what is young, waits, is worked or has ended is left alone`() async throws {
        try await DownloadBench.with { bench in
            let young = try await bench.accept([70_000])
            bench.queue.jobs.withLock { $0 = [:] }
            // However slow the machine is.
            var patient = bench
            patient.settings.reconcileAge = .seconds(3_600)
            #expect(try await look(patient)?.isEmpty == true)
            #expect(try await bench.row(young.id).round == 1)
            _ = try await JobCancellation(bench.context()).cancel(young.id)
            let waiting = try await bench.accept([70_000])
            let active = try await bench.accept([70_000])
            bench.queue.move(active.id, to: .active)
            #expect(try await look(bench)?.isEmpty == true)
            for job in [young, waiting, active] { #expect(try await bench.row(job.id).round == 1) }
        }
    }

    @Test func `a record without a place in the queue is put into it`() async throws {
        try await DownloadBench.with { bench in
            // Its process died between the two.
            let job = try await bench.accept([70_000])
            bench.queue.jobs.withLock { $0 = [:] }
            #expect(try await look(bench)?.raisedJobs == 1)
            #expect(try await bench.record(job.id).round == 2)
            #expect(try bench.queue.waitingRound(job.id) == 2)
        }
    }

    @Test func `a job that is in no list of its queue is put back`() async throws {
        try await DownloadBench.with { bench in
            let job = try await bench.accept([70_000])
            bench.queue.move(job.id, to: .stray)
            #expect(try await look(bench)?.raisedJobs == 1)
            #expect(try bench.queue.waitingRound(job.id) == 2)
        }
    }

    @Test func `of many jobs that are well a look goes through some, of lost ones through all`() async throws {
        try await DownloadBench.with { bench in
            let old = Timestamp.now + .seconds(-60)
            let ids = (0..<Reconciler.lookCount + 150).map { _ in JobID() }
            try await withThrowingTaskGroup { group in
                for id in ids {
                    let task = #"{"jobId":"\#(id)","round":1}"#
                    bench.queue.jobs.withLock { $0[id.description] = QueuedJob(state: .waiting, data: task) }
                    group.addTask {
                        try await bench.history.insert(
                            HistoryJob(
                                id: id.description, owner: nil, round: 1, status: "queued", fileIDs: [70_000],
                                options: "{}", createdAt: old, updatedAt: old))
                    }
                }
                try await group.waitForAll()
            }
            let first = try #require(try await look(bench))
            #expect(first.isEmpty && first.next.unfinished != nil)
            #expect(bench.queue.looks.withLock { $0 } == Reconciler.lookCount / Reconciler.pageCount)
            let second = try #require(
                try await Reconciler(bench.context()).look(as: "a", after: first.next, at: .now + .seconds(6)))
            #expect(second.isEmpty && second.next.unfinished == nil)
            bench.queue.jobs.withLock { $0 = [:] }
            #expect(try await look(bench)?.raisedJobs == ids.count)
        }
    }

    @Test func `ends that are old are told no more, and those of a pass that stopped midway are`() async throws {
        try await DownloadBench.with { bench in
            #expect(try await look(bench)?.isEmpty == true)
            // The jobs of an hour, all of whose records have missed the end.
            let count = Reconciler.lookCount + 10
            let base = Timestamp.now + .seconds(-3_600)
            _ = try await bench.redis.send(["SET", "ferry:reconciled", String(base.milliseconds)])
            var jobs: [JobRecord] = []
            for number in 0..<count {
                let job = JobRecord(
                    id: JobID(), owner: nil, options: "{}", fileIDs: [70_000], maxAttempts: 3, createdAt: base,
                    updatedAt: base)
                jobs.append(job)
                let time = base + .seconds(number)
                try await bench.history.insert(
                    HistoryJob(
                        id: job.id.description, owner: nil, round: 1, status: "cancelled", fileIDs: [70_000],
                        options: "{}", createdAt: base, updatedAt: time))
            }
            for job in [jobs[0], jobs[count - 1]] { _ = try await bench.store.create(job) }
            let first = try #require(try await look(bench))
            #expect(first.toldJobs == 1 && first.next.ended != nil)
            let second = try #require(try await Reconciler(bench.context()).look(as: "a", after: first.next))
            #expect(second.toldJobs == 1 && second.next.ended == nil)
            #expect(try await bench.record(jobs[count - 1].id).status == .cancelled)
            // Redis was set back, and its time with it.
            _ = try await bench.redis.send(["DEL", JobStore.key(jobs[0].id)])
            _ = try await bench.store.create(jobs[0])
            #expect(try await look(bench)?.isEmpty == true)
            _ = try await bench.redis.send(["SET", "ferry:reconciled", String(base.milliseconds)])
            #expect(try await look(bench)?.toldJobs == 1)
        }
    }

    @Test(arguments: [QueuedJob.State.waiting, .ended])
    func `a queue that has only an older round gets the new one`(_ state: QueuedJob.State) async throws {
        try await DownloadBench.with { bench in
            let job = try await bench.accept([70_000])
            bench.queue.move(job.id, to: state)
            // A retry whose process died after the history's commit.
            _ = try await bench.history.beginRound(after: 1, of: job.id.description, from: ["queued"], at: .now)
            #expect(try await look(bench)?.raisedJobs == 1)
            #expect(try await bench.record(job.id).round == 3)
            #expect(try bench.queue.waitingRound(job.id) == 3)
            #expect(try await bench.row(job.id).raises == 1)
        }
    }

    @Test func `a job that its queue has finished is finished in the history and in the record`() async throws {
        try await DownloadBench.with { bench in
            bench.objects.add(70_000)
            let job = try await bench.accept([70_000])
            let archive = HistoryArchive(key: "archives/\(job.id)/1-1.zip", sizeBytes: 5, crc32: 7)
            let end = Timestamp.now + .seconds(3_600)
            let outcome = DownloadOutcome(status: .ready, round: 1, archive: archive, expiresAt: end)
            let data = DownloadTask(job, requestID: "r").json
            bench.queue.jobs.withLock {
                $0[job.id.description] = QueuedJob(
                    state: .ended, data: data,
                    ending: .init(isFailed: false, text: (try? JSON.text(outcome)) ?? "", at: .now))
            }
            #expect(try await look(bench)?.closedJobs == 1)
            let row = try await bench.row(job.id)
            #expect(row.status == "ready" && row.archive == archive && row.expiresAt == end)
            #expect(try await bench.record(job.id).status == .ready)
        }
    }

    @Test func `a job that its queue has given up fails with the reason`() async throws {
        try await DownloadBench.with { bench in
            let job = try await bench.accept([70_000])
            let data = DownloadTask(job, requestID: "r").json
            let ending = QueuedJob.Ending(isFailed: true, text: "job stalled more than allowable limit", at: .now)
            bench.queue.jobs.withLock {
                $0[job.id.description] = QueuedJob(state: .ended, data: data, ending: ending)
            }
            #expect(try await look(bench)?.closedJobs == 1)
            #expect(try await bench.row(job.id).status == "failed")
            #expect(try await bench.record(job.id).failure?.message == "The job's workers were lost too often.")
        }
    }

    @Test(arguments: ["null", #"{"status":"processing","round":1}"#, #"{"status":"ready","round":1}"#, "nonsense"])
    func `a worker that found no record leaves the job to be raised`(_ result: String) async throws {
        try await DownloadBench.with { bench in
            let job = try await bench.accept([70_000])
            _ = try await bench.redis.send(["DEL", JobStore.key(job.id)])
            let data = DownloadTask(job, requestID: "r").json
            bench.queue.jobs.withLock {
                $0[job.id.description] = QueuedJob(
                    state: .ended, data: data, ending: .init(isFailed: false, text: result, at: .now))
            }
            #expect(try await look(bench)?.raisedJobs == 1)
            #expect(try bench.queue.waitingRound(job.id) == 2)
        }
    }

    @Test func `a job that is lost again and again fails with the reason`() async throws {
        try await DownloadBench.with { bench in
            let job = try await bench.accept([70_000])
            for round in 2...4 {
                try await wipe(bench)
                #expect(try await look(bench)?.raisedJobs == 1)
                #expect(try await bench.row(job.id).round == round)
            }
            bench.queue.jobs.withLock { $0 = [:] }
            #expect(try await look(bench)?.failedJobs == 1)
            let row = try await bench.row(job.id)
            #expect(row.round == 4 && row.status == "failed" && row.error?.contains("4 times") == true)
            #expect(try await bench.record(job.id).failure?.code == "storage_error")
            #expect(try await look(bench)?.isEmpty == true)
            // A retry counts anew.
            #expect(try await JobRetry(bench.context()).retry(job.id).round == 5)
            try await wipe(bench)
            #expect(try await look(bench)?.raisedJobs == 1)
        }
    }

    @Test func `what was thrown away is not raised, also at the last moment`() async throws {
        try await DownloadBench.with { bench in
            let job = try await bench.accept([70_000])
            try await wipe(bench)
            bench.history.beforeChange.withLock {
                $0 = { name in
                    guard name == "raise" else { return }
                    _ = try await bench.history.update(
                        job.id.description, round: 1, from: ["queued"],
                        change: HistoryChange(status: "cancelled", at: .now))
                }
            }
            #expect(try await look(bench)?.isEmpty == true)
            #expect(try await bench.row(job.id).status == "cancelled")
            #expect(bench.queue.jobs.withLock { $0.isEmpty })
        }
    }

    @Test func `one of several looks, until its lease is over or given back`() async throws {
        try await DownloadBench.with { bench in
            _ = try await bench.accept([70_000])
            #expect(try await look(bench, as: "a") != nil)
            #expect(try await look(bench, as: "b") == nil)
            #expect(try await look(bench, as: "a") != nil)
            try await bench.history.endLease(Reconciler.leaseName, of: "a")
            #expect(try await look(bench, as: "b") != nil)
            var hasty = bench
            hasty.settings.reconcileLease = .milliseconds(20)
            #expect(try await Reconciler(hasty.context()).look(as: "b", at: .now + .seconds(6)) != nil)
            try await eventually { try await look(bench, as: "a") != nil }
        }
    }

    @Test func `many jobs are raised by several at once, each one time`() async throws {
        try await DownloadBench.with { bench in
            var ids: [JobID] = []
            for _ in 0..<250 { ids.append(try await bench.accept([70_000]).id) }
            try await wipe(bench)
            bench.queue.added.withLock { $0 = [] }
            // Their clocks differ, and both believe to have the lease.
            var hasty = bench
            hasty.settings.reconcileLease = .zero
            let context = hasty.context()
            let counts = try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 0..<3 {
                    group.addTask {
                        try await Reconciler(context).look(as: "\(number)", at: .now + .seconds(6))?.raisedJobs ?? 0
                    }
                }
                return try await group.reduce(into: 0) { $0 += $1 }
            }
            #expect(counts == 250)
            #expect(bench.queue.added.withLock { $0.count } == 250)
            for id in ids { #expect(try bench.queue.waitingRound(id) == 2) }
        }
    }

    @Test func `a look whose time is over goes on where it stopped`() async throws {
        try await DownloadBench.with { bench in
            for _ in 0..<3 { _ = try await bench.accept([70_000]) }
            try await wipe(bench)
            let late = try await Reconciler(bench.context(timeLimit: .zero)).look(as: "a", at: .now + .seconds(6))
            #expect(late?.isEmpty == true)
            #expect(try await look(bench)?.raisedJobs == 3)
        }
    }

    @Test func `it looks by itself until it is cancelled, and gives the lease back`() async throws {
        try await DownloadBench.with { bench in
            var quick = bench
            quick.settings.reconcileInterval = .milliseconds(10)
            quick.settings.reconcileAge = .milliseconds(10)
            let job = try await bench.accept([70_000])
            try await wipe(bench)
            bench.queue.isAway.withLock { $0 = true }
            let context = quick.context()
            let running = Task { await Reconciliation(context.bindings, logger: context.logger).run() }
            try await Task.sleep(for: .milliseconds(50))
            bench.queue.isAway.withLock { $0 = false }
            try await eventually { try bench.queue.waitingRound(job.id) == 2 }
            running.cancel()
            await running.value
            #expect(try await bench.history.lease(Reconciler.leaseName, to: "other", for: .seconds(1), at: .now))
        }
    }
}
