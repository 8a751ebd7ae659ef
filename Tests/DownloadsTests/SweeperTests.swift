import FunctionKit
import RedisClient
import Synchronization
import TestSupport
import Testing

@testable import Downloads
@testable import expire

/// What time has ended and what dead workers left behind is cleared away, and nothing else.
@Suite struct SweeperTests {
    private static let day = Duration.seconds(86_400)

    private func sweep(_ bench: DownloadBench, after time: Duration = .zero) async throws -> SweepReport {
        try await Sweeper(bench.context()).sweep(at: .now + time)
    }

    private func ready(_ bench: DownloadBench) async throws -> JobRecord {
        bench.objects.add(70_000)
        let job = try await bench.accept([70_000])
        _ = try await DownloadWorker(bench.context()).work(bench.job(job))
        return try await bench.record(job.id)
    }

    private func put(_ bench: DownloadBench, _ key: String, at time: Timestamp = Timestamp(milliseconds: 1)) {
        bench.objects.inner.put(key, ByteBuffer(string: "x"))
        bench.objects.inner.state.withLock { $0.modified[key] = time }
    }

    private func putUpload(
        _ bench: DownloadBench, _ key: String, _ id: String, at time: Timestamp? = Timestamp(milliseconds: 1)
    ) {
        bench.objects.inner.state.withLock {
            $0.listedUploads.append(ObjectUpload(key: key, id: id, initiatedAt: time))
        }
    }

    private func uploads(_ bench: DownloadBench) -> [String] {
        bench.objects.inner.state.withLock { $0.listedUploads.map(\.id).sorted() }
    }

    /// A job that a worker works, as its record shows it.
    private func working(_ bench: DownloadBench, upload: String? = nil) async throws -> JobRecord {
        var record = try await bench.accept([70_000])
        record.status = .processing
        _ = try await bench.store.advance(&record, from: [.queued], claim: .take, messages: [.status])
        if let upload {
            record.upload = ObjectUpload(key: bench.settings.archiveKey(of: record), id: upload)
            _ = try await bench.store.advance(&record, from: [.processing], claim: .held(1), messages: [])
        }
        let change = HistoryChange(status: "processing", at: .now)
        _ = try await bench.history.update(record.id.description, round: 1, from: ["queued"], change: change)
        return record
    }

    @Test func `archives past their time are deleted and their jobs expire`() async throws {
        try await DownloadBench.with { bench in
            let job = try await ready(bench)
            #expect(try await sweep(bench, after: Self.day * 6).isEmpty)
            #expect(bench.objects.inner.archives.count == 1)
            let subscription = try await bench.redis.subscribe(JobStore.channel(job.id))
            let report = try await sweep(bench, after: Self.day * 7)
            #expect(report.expiredJobs == 1 && report.deletedArchives == 0 && report.failures == 0)
            #expect(report.isComplete)
            #expect(bench.objects.inner.archives.isEmpty)
            let record = try await bench.record(job.id)
            #expect(record.status == .expired && record.seq > job.seq && record.files == job.files)
            #expect(try await bench.row(job.id).status == "expired")
            for await element in subscription {
                guard case .message(let bytes) = element else { continue }
                let message = try object(String(buffer: bytes))
                #expect(message["type"] as? String == "status")
                #expect((message["data"] as? [String: Any])?["status"] as? String == "expired")
                break
            }
            #expect(try await sweep(bench, after: Self.day * 7).isEmpty)
            #expect(try await JobRetry(bench.context()).retry(job.id).round == 2)
        }
    }

    @Test func `jobs past their retention are forgotten with their archives`() async throws {
        try await DownloadBench.with { bench in
            let failed = try await bench.accept([70_001])
            await #expect(throws: Permanent.self) { try await DownloadWorker(bench.context()).work(bench.job(failed)) }
            let cancelled = try await bench.accept([70_001])
            _ = try await JobCancellation(bench.context()).cancel(cancelled.id)
            let expired = try await ready(bench)
            _ = try await JobCancellation(bench.context()).cancel(expired.id)
            put(bench, try #require(expired.archive).key, at: .now + Self.day * 30)
            let queued = try await bench.accept([70_001])
            // A job that was accepted long ago and tried again a moment ago is a young one.
            let retried = try await bench.accept([70_001])
            _ = try await JobCancellation(bench.context()).cancel(retried.id)
            _ = try await JobRetry(bench.context()).retry(retried.id)
            #expect(try await sweep(bench, after: Self.day * 29).isEmpty)
            let report = try await sweep(bench, after: Self.day * 30 + .seconds(1))
            #expect(report.forgottenJobs == 3 && report.failures == 0)
            for id in [failed.id, cancelled.id, expired.id] {
                #expect(try await bench.history.find(id.description) == nil)
                #expect(try await bench.history.files(of: id.description).isEmpty)
                #expect(try await bench.store.load(id) == nil)
            }
            #expect(bench.objects.inner.archives.isEmpty)
            #expect(try await bench.row(queued.id).status == "queued")
            #expect(try await bench.row(retried.id).status == "queued")
            #expect(try await bench.record(retried.id).round == 2)
        }
    }

    @Test func `a record of a later round is not forgotten`() async throws {
        try await DownloadBench.with { bench in
            let job = try await bench.accept([70_000])
            try await bench.store.forget(job.id, round: 0)
            #expect(try await bench.record(job.id) == job)
            try await bench.store.forget(job.id, round: 1)
            #expect(try await bench.store.load(job.id) == nil)
        }
    }

    @Test func `uploads that no live record names are given up after their grace`() async throws {
        try await DownloadBench.with { bench in
            let live = try await working(bench, upload: "live")
            let unnoted = try await working(bench)
            let done = try await ready(bench)
            let (young, unknown) = (JobID(), JobID())
            putUpload(bench, bench.settings.archiveKey(of: live), "live")
            putUpload(bench, bench.settings.archiveKey(of: unnoted), "unnoted")
            putUpload(bench, "archives/\(young)/1-1.zip", "young", at: .now)
            putUpload(bench, "archives/\(unknown)/1-1.zip", "ageless", at: nil)
            putUpload(bench, "archives/of-somebody-else.zip", "foreign")
            putUpload(bench, "elsewhere/\(unknown)/1-1.zip", "elsewhere")
            let kept = ["ageless", "elsewhere", "foreign", "live", "unnoted", "young"]
            // What goes: of nobody, of a finished job, of an earlier claim, a second one of the same worker.
            putUpload(bench, "archives/\(unknown)/1-1.zip", "orphan-1")
            putUpload(bench, bench.settings.archiveKey(of: done), "orphan-2")
            putUpload(bench, "archives/\(live.id)/1-0.zip", "orphan-3")
            putUpload(bench, bench.settings.archiveKey(of: live), "orphan-4")
            let report = try await sweep(bench)
            #expect(report.abortedUploads == 4 && report.failures == 0 && report.isComplete)
            #expect(uploads(bench) == kept)
            #expect(try await sweep(bench).isEmpty)
            // The young one grows old.
            #expect(try await sweep(bench, after: .seconds(3_601)).abortedUploads == 1)
        }
    }

    @Test func `archives that no job names are deleted after their grace`() async throws {
        try await DownloadBench.with { bench in
            let done = try await ready(bench)
            let working = try await working(bench)
            let unknown = JobID()
            put(bench, "archives/\(working.id)/1-1.zip")
            put(bench, "archives/\(working.id)/1-7.zip")
            put(bench, "archives/\(unknown)/1-2.zip", at: .now)
            put(bench, "archives/README.txt")
            put(bench, "archives/\(unknown)/01-1.zip")
            put(bench, "elsewhere/\(unknown)/1-1.zip")
            let kept = bench.objects.inner.state.withLock { Set($0.objects.keys) }
            put(bench, "archives/\(unknown)/1-1.zip")
            put(bench, "archives/\(done.id)/1-2.zip")
            put(bench, "archives/\(working.id)/0-1.zip")
            let report = try await sweep(bench)
            #expect(report.deletedArchives == 3 && report.failures == 0 && report.isComplete)
            #expect(bench.objects.inner.state.withLock { Set($0.objects.keys) } == kept)
            #expect(try await sweep(bench).isEmpty)
        }
    }

    @Test func `a history that was set up anew does not cost the archives that records name`() async throws {
        try await DownloadBench.with { bench in
            let done = try await ready(bench)
            let working = try await working(bench)
            put(bench, "archives/\(working.id)/1-1.zip")
            for id in [done.id, working.id] {
                let row = try await bench.row(id)
                #expect(try await bench.history.remove(row.id, round: 1, from: [row.status]))
            }
            #expect(try await sweep(bench).isEmpty)
            #expect(bench.objects.inner.archives.count == 2)
            _ = try await bench.redis.send(["FLUSHALL"])
            #expect(try await sweep(bench).deletedArchives == 2)
        }
    }

    @Test func `one bad object does not stop the rest`() async throws {
        try await DownloadBench.with { bench in
            let jobs = [try await ready(bench), try await ready(bench)]
            let bad = "archives/\(JobID())/1-1.zip"
            put(bench, bad)
            putUpload(bench, bad, "bad")
            let last = "archives/ffffffff-ffff-4fff-bfff-ffffffffffff/1-1.zip"
            put(bench, last)
            putUpload(bench, last, "good")
            let first = try #require(jobs[0].archive).key
            bench.objects.inner.state.withLock { $0.deleteFailures = [bad, "bad", first] }
            let report = try await sweep(bench, after: Self.day * 7)
            // The archive that could not be deleted at once is met again in the listing, where its job names it no more.
            #expect(report.expiredJobs == 2 && report.abortedUploads == 1 && report.deletedArchives == 1)
            #expect(report.failures == 3)
            #expect(Set(bench.objects.inner.archives) == [bad, first])
            bench.objects.inner.state.withLock { $0.deleteFailures = [] }
            let again = try await sweep(bench, after: Self.day * 7)
            #expect(again.abortedUploads == 1 && again.deletedArchives == 2 && again.failures == 0)
            #expect(bench.objects.inner.archives.isEmpty)
        }
    }

    @Test func `a job that cannot be forgotten does not stop the rest`() async throws {
        try await DownloadBench.with { bench in
            var keys: [String] = []
            for _ in 0..<3 {
                let job = try await ready(bench)
                _ = try await JobCancellation(bench.context()).cancel(job.id)
                keys.append(try #require(job.archive).key)
            }
            bench.objects.inner.state.withLock { $0.deleteFailures = [keys[0]] }
            let report = try await sweep(bench, after: Self.day * 31)
            #expect(report.forgottenJobs == 2 && report.failures == 1)
        }
    }

    @Test func `a pass that fails as a whole does not stop the others`() async throws {
        try await DownloadBench.with { bench in
            let job = try await ready(bench)
            bench.objects.inner.state.withLock { $0.listFails = true }
            await #expect(throws: ArchiveFaultyStore.Failure.self) { try await sweep(bench, after: Self.day * 7) }
            #expect(try await bench.row(job.id).status == "expired")
            bench.objects.inner.state.withLock { $0.listFails = false }
            bench.history.fails.withLock { $0 = ["list"] }
            put(bench, "archives/\(JobID())/1-1.zip")
            await #expect(throws: StoreIsAway.self) { try await sweep(bench) }
            #expect(bench.objects.inner.archives.isEmpty)
        }
    }

    @Test func `listings are read to their end page by page`() async throws {
        try await DownloadBench.with { bench in
            bench.objects.inner.state.withLock { $0.pageSize = 3 }
            for number in 0..<20 {
                put(bench, "archives/\(JobID())/1-1.zip")
                putUpload(bench, "archives/\(JobID())/1-1.zip", "u\(number)")
            }
            let live = try await working(bench, upload: "live")
            putUpload(bench, bench.settings.archiveKey(of: live), "live")
            let report = try await sweep(bench)
            #expect(report.abortedUploads == 20 && report.deletedArchives == 20 && report.isComplete)
            #expect(uploads(bench) == ["live"])
        }
    }

    @Test func `many jobs are dealt with in batches`() async throws {
        try await DownloadBench.with { bench in
            let count = Sweeper.batchCount * 2 + 10
            for _ in 0..<count {
                try await bench.history.insert(
                    HistoryJob(
                        id: JobID().description, owner: nil, round: 1, status: "ready", fileIDs: [70_000],
                        options: "{}", createdAt: .now, updatedAt: .now, expiresAt: .now))
            }
            #expect(try await sweep(bench).expiredJobs == count)
            #expect(try await sweep(bench, after: Self.day * 31).forgottenJobs == count)
        }
    }

    @Test func `a sweep ends before its deadline and the next one goes on there`() async throws {
        try await DownloadBench.with { bench in
            bench.objects.inner.state.withLock { $0.pageSize = 4 }
            let keys = (0..<12).map { _ in "archives/\(JobID())/1-1.zip" }.sorted()
            for key in keys { put(bench, key) }
            // The first page cannot be deleted; the second one takes all the time that there is.
            bench.objects.inner.state.withLock { $0.deleteFailures = Set(keys[0..<4]) }
            let context = bench.context(timeLimit: .seconds(12))
            bench.objects.beforeDelete.withLock {
                $0 = { key in
                    if keys[4..<8].contains(key) { try await Task.sleep(until: context.deadline - .seconds(2.5)) }
                }
            }
            let first = try await Sweeper(context).sweep()
            #expect(ContinuousClock.now < context.deadline)
            #expect(!first.isComplete)
            #expect(bench.objects.inner.archives.contains(keys[11]))
            bench.objects.beforeDelete.withLock { $0 = { _ in } }
            let deleted = Mutex<[String]>([])
            bench.objects.beforeDelete.withLock { $0 = { key in deleted.withLock { $0.append(key) } } }
            let second = try await sweep(bench)
            #expect(second.isComplete && bench.objects.inner.archives.sorted() == Array(keys[0..<4]))
            // It went on where the first one had stopped; the third begins anew.
            #expect(deleted.withLock { $0 }.allSatisfy { $0 >= keys[4] })
            bench.objects.inner.state.withLock { $0.deleteFailures = [] }
            #expect(try await sweep(bench).deletedArchives == 4)
        }
    }

    @Test func `sweeps beside each other and beside workers do no harm`() async throws {
        try await DownloadBench.with { bench in
            var quick = bench
            quick.settings.sweepGrace = .zero
            bench.objects.add(70_000)
            bench.objects.add(70_001, 12 << 20)
            quick.settings.partBytes = 5 << 20
            let working = quick
            try await withThrowingTaskGroup(of: Void.self) { group in
                for turn in 0..<12 {
                    group.addTask {
                        let job = try await working.accept(turn % 3 == 0 ? [70_000, 70_001] : [70_000])
                        let outcome = try await DownloadWorker(working.context()).work(working.job(job))
                        #expect(outcome.status == .ready)
                        let key = try #require(try await working.record(job.id).archive).key
                        #expect(working.objects.inner.contents(key) != nil)
                    }
                }
                for _ in 0..<3 {
                    group.addTask {
                        for _ in 0..<10 {
                            let report = try await Sweeper(working.context()).sweep()
                            #expect(report.isEmpty)
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(bench.objects.inner.archives.count == 12)
            // Several sweepers at once: everything once.
            let reports = try await withThrowingTaskGroup(of: SweepReport.self) { group in
                for _ in 0..<4 { group.addTask { try await sweep(bench, after: Self.day * 7) } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(reports.reduce(0) { $0 + $1.expiredJobs } == 12)
            #expect(reports.allSatisfy { $0.failures == 0 })
            #expect(bench.objects.inner.archives.isEmpty)
        }
    }

    @Test func `a retry that meets the sweep keeps its round`() async throws {
        try await DownloadBench.with { bench in
            for turn in 0..<20 {
                let job = try await bench.accept([70_000])
                _ = try await JobCancellation(bench.context()).cancel(job.id)
                async let swept = sweep(bench, after: Self.day * 31)
                try await Task.sleep(for: .microseconds(turn * 100))
                let retried = await httpError { try await JobRetry(bench.context()).retry(job.id) }
                _ = try await swept
                let row = try await bench.history.find(job.id.description)
                if retried == nil {
                    #expect(row?.round == 2)
                    #expect(try await bench.record(job.id).round == 2)
                } else {
                    #expect(row == nil)
                    #expect(try await bench.store.load(job.id) == nil)
                }
            }
        }
    }

    @Test func `the function sweeps at each tick`() async throws {
        try await DownloadBench.with { bench in
            put(bench, "archives/\(JobID())/1-1.zip")
            try await Expire().run(ScheduledTick(at: .now), bench.context())
            #expect(bench.objects.inner.archives.isEmpty)
            try await Expire().run(ScheduledTick(at: .now), bench.context())
        }
    }

    @Test func `keys of archives are read and written alike`() throws {
        let id = JobID()
        let key = try #require(ArchiveKey("a/b/\(id)/12-3.zip", prefix: "a/b/"))
        #expect(key.jobID == id && key.round == 12 && key.claim == 3)
        #expect(key.text(prefix: "a/b/") == "a/b/\(id)/12-3.zip")
        for text in [
            "", "a/b/", "a/b/\(id)", "a/b/\(id)/", "a/b/\(id)/1-1", "a/b/\(id)/1.zip", "a/b/\(id)/1-1.zip.zip",
            "a/b/\(id)/+1-1.zip", "a/b/\(id)/1-01.zip", "a/b/\(id)/1--1.zip", "a/b/\(id)/x/1-1.zip", "a/\(id)/1-1.zip",
            "a/b/\(id.description.uppercased())/1-1.zip", "a/b/nobody/1-1.zip",
        ] {
            #expect(ArchiveKey(text, prefix: "a/b/") == nil, "\(text)")
        }
    }
}
