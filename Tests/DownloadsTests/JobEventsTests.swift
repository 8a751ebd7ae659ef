import FunctionKit
import Synchronization
import Testing

@testable import Downloads

/// What the queue's events do, and what is told of a job whose record is gone.
@Suite struct JobEventsTests {
    @Test func reportsToTheQueueGoIntoTheHistory() async throws {
        try await DownloadBench.with { bench in
            let job = try await bench.accept([70_000, 70_001])
            let record = try await bench.record(job.id)
            let files = (0..<2).map { position in
                ProgressReport.File(
                    ArchivedFile(
                        fileID: 70_000 + Int64(position), position: position, key: "k", name: "n",
                        status: position == 0 ? .completed : .failed, sizeBytes: 5, crc32: 6,
                        error: position == 0 ? nil : "gone", errorClass: nil))
            }
            let report = ProgressReport(record, files: files)
            let events = try JobEvents(bench.context())
            let sent = try JSON.decode(ProgressReport.self, from: try JSON.text(report))
            #expect(sent == report)
            try await events.record(sent, of: job.id.description)
            try await events.record(sent, of: job.id.description)
            let kept = try await bench.history.files(of: job.id.description)
            #expect(kept.map(\.status) == ["completed", "failed"])
            // Too late, or about a job that nobody knows.
            _ = try await bench.history.update(
                job.id.description, round: 1, from: ["queued"], change: HistoryChange(status: "failed", at: .now))
            try await events.record(ProgressReport(record, files: [files[0]]), of: job.id.description)
            try await events.record(report, of: "unknown")
            #expect(try await bench.history.files(of: job.id.description) == kept)
        }
    }

    @Test(arguments: [
        ("job stalled more than allowable limit", "unknown_error", "The job's workers were lost too often."),
        (
            "timeout_error: the attempt took longer than 130 s", "timeout_error",
            "The attempt took longer than its time limit."
        ),
        ("network_error: 10.0.0.7:6379 refused", "network_error", "A store could not be reached."),
        ("10.0.0.7:6379 refused", "unknown_error", "The archive could not be made."),
    ])
    func aJobThatTheQueueGaveUpIsClosed(reason: String, code: String, message: String) async throws {
        try await DownloadBench.with { bench in
            let job = try await bench.accept([70_000, 70_001])
            var record = job
            record.status = .processing
            record.files[0] = JobFile(id: 70_000, state: .completed, sizeBytes: 5)
            record.progress = Progress(
                current: 1, total: 2, permille: 700, bytes: 5, totalBytes: 7, secondsRemaining: 9)
            _ = try await bench.store.advance(&record, from: [.queued], claim: .take, messages: [.status])
            for _ in 0..<2 {
                try await JobEvents(bench.context()).fail(reason, of: job.id.description, at: .now)
                let closed = try await bench.record(job.id)
                #expect(closed.status == .failed)
                #expect(closed.failure == JobFailure(code: code, message: message))
                #expect(closed.files.map(\.state) == [.completed, .pending])
                #expect(closed.progress.permille == 700)
                #expect(closed.progress.secondsRemaining == nil)
                #expect(try await bench.row(job.id).status == "failed")
            }
            try await JobEvents(bench.context()).fail(reason, of: "17", at: .now)
            try await JobEvents(bench.context()).fail(reason, of: JobID().description, at: .now)
        }
    }

    @Test func aFailureThatTheWorkerKnewIsKept() async throws {
        try await DownloadBench.with { bench in
            bench.objects.add(70_000)
            let job = try await bench.accept([70_000])
            bench.objects.inner.state.withLock { $0.writeFails = true }
            // The history is away when the last attempt fails.
            bench.history.fails.withLock { $0 = ["failed"] }
            await #expect(throws: Permanent.self) {
                try await DownloadWorker(bench.context(attempt: 3)).work(bench.job(job, attempt: 3))
            }
            #expect(try await bench.row(job.id).status == "processing")
            bench.history.fails.withLock { $0 = [] }
            try await JobEvents(bench.context()).fail("x", of: job.id.description, at: .now)
            #expect(try await bench.row(job.id).status == "failed")
            #expect(try await bench.row(job.id).error == "storage_error: A store could not do what was needed.")
        }
    }

    @Test func aLateFailureOfAnEarlierRoundDoesNotEndTheNext() async throws {
        try await DownloadBench.with { bench in
            let id = JobID()
            let began = Timestamp.now
            let job = HistoryJob(
                id: id.description, owner: nil, round: 2, status: "queued", fileIDs: [70_000], options: "{}",
                createdAt: began, updatedAt: began)
            try await bench.history.insert(job)
            let earlier = Timestamp(milliseconds: began.milliseconds - 1)
            try await JobEvents(bench.context()).fail("x", of: id.description, at: earlier)
            #expect(try await bench.row(id).status == "queued")
            try await JobEvents(bench.context()).fail("x", of: id.description, at: began)
            #expect(try await bench.row(id).status == "failed")
        }
    }

    @Test func aJobIsForgottenAfterItsRetention() async throws {
        try await DownloadBench.with { bench in
            let old = Timestamp(milliseconds: Timestamp.now.milliseconds - 2_592_000_000)
            for (status, isKnown) in [("ready", false), ("failed", false), ("processing", true)] {
                let id = JobID()
                try await bench.history.insert(
                    HistoryJob(
                        id: id.description, owner: nil, round: 1, status: status, fileIDs: [70_000], options: "{}",
                        createdAt: old, updatedAt: old))
                let error = await httpError { try await bench.context().downloadJob(id) }
                #expect((error == nil) == isKnown)
                #expect(isKnown || error?.status == .notFound)
            }
        }
    }
}
