import Foundation
import FunctionKit
import RedisClient
import Synchronization
import TestSupport
import Testing

@testable import Downloads

@Suite struct DownloadWorkerTests {
    @Test func anAttemptMakesTheArchiveAndFinishesHistoryAndRecord() async throws {
        try await DownloadBench.with { bench in
            bench.objects.add(70_000)
            bench.objects.add(70_002, 2_000)
            let job = try await bench.accept([70_000, 70_001, 70_002])
            let outcome = try await DownloadWorker(bench.context()).work(bench.job(job))
            #expect(outcome.status == .ready)
            let record = try await bench.record(job.id)
            let row = try await bench.row(job.id)
            #expect(record.status == .ready)
            #expect(row.status == "ready")
            #expect(record.archive == row.archive)
            #expect(record.expiresAt == row.expiresAt)
            #expect(record.archive?.key == "archives/\(job.id)/1-1.zip")
            let expected = record.updatedAt + .seconds(604_800)
            #expect(record.expiresAt == expected)
            #expect(
                Int64(bench.objects.inner.contents(record.archive?.key ?? "")?.readableBytes ?? 0)
                    == record.archive?.sizeBytes)
            #expect(record.files.map(\.state) == [.completed, .failed, .completed])
            #expect(record.files.map(\.sizeBytes) == [1_000, nil, 2_000])
            #expect(
                record.progress
                    == Progress(
                        current: 3, total: 3, permille: 1_000, bytes: 3_000, totalBytes: 3_000, secondsRemaining: 0))
            #expect(record.attempt == 1)
            #expect(record.claim == 1)
            #expect(record.upload == nil)
            let files = try await bench.history.files(of: job.id.description)
            #expect(files.map(\.status) == ["completed", "failed", "completed"])
            #expect(files.map(\.fileID) == [70_000, 70_001, 70_002])
            #expect(files[0].crc32 != nil)
            #expect(files[1].error != nil)
        }
    }

    @Test func watchersSeeEveryStep() async throws {
        try await DownloadBench.with { bench in
            bench.objects.add(70_000)
            bench.objects.add(70_001)
            let job = try await bench.accept([70_000, 70_001])
            let subscription = try await bench.redis.subscribe(JobStore.channel(job.id))
            _ = try await DownloadWorker(bench.context()).work(bench.job(job))
            var types: [String] = []
            var files: [Int] = []
            var percentages: [Double] = []
            for await element in subscription {
                guard case .message(let bytes) = element else { continue }
                let message = try object(String(buffer: bytes))
                let type = try #require(message["type"] as? String)
                types.append(type)
                let data = try #require(message["data"] as? [String: Any])
                for file in data["files"] as? [[String: Any]] ?? [] { files.append(file["file_id"] as? Int ?? 0) }
                if let progress = data["progress"] as? [String: Any] {
                    percentages.append(try #require(progress["percentage"] as? Double))
                }
                if type == "complete" {
                    #expect(data["status"] as? String == "ready")
                    break
                }
            }
            #expect(types.first == "status")
            #expect(types.suffix(2) == ["status", "complete"])
            #expect(types.dropFirst().dropLast(2).allSatisfy { $0 == "progress" })
            #expect(files == [70_000, 70_001])
            #expect(percentages == percentages.sorted())
            #expect(percentages.last == 100)
        }
    }

    @Test func aFailedAttemptGoesBackToTheQueueAndTheNextBeginsAnew() async throws {
        try await DownloadBench.with { bench in
            bench.objects.add(70_000)
            let job = try await bench.accept([70_000])
            bench.objects.inner.state.withLock { $0.writeFails = true }
            let subscription = try await bench.redis.subscribe(JobStore.channel(job.id))
            await #expect(throws: (any Error).self) {
                try await DownloadWorker(bench.context()).work(bench.job(job, attempt: 1))
            }
            var record = try await bench.record(job.id)
            #expect(record.status == .queued)
            #expect(record.failure?.code == "storage_error")
            // What the store said is for the log, not for the owner.
            #expect(record.failure?.message == "A store could not do what was needed.")
            #expect(try await bench.row(job.id).status == "queued")
            var seen: [String] = []
            for await element in subscription {
                guard case .message(let bytes) = element else { continue }
                let message = try object(String(buffer: bytes))
                seen.append(try #require(message["type"] as? String))
                if seen.last == "error" {
                    #expect((message["data"] as? [String: Any])?["final"] as? Bool == false)
                }
                if seen.suffix(2) == ["error", "status"] { break }
            }
            bench.objects.inner.state.withLock { $0.writeFails = false }
            let outcome = try await DownloadWorker(bench.context(attempt: 2)).work(bench.job(job, attempt: 2))
            #expect(outcome.status == .ready)
            record = try await bench.record(job.id)
            #expect(record.attempt == 2)
            #expect(record.failure == nil)
            #expect(record.archive?.key == "archives/\(job.id)/1-2.zip")
            #expect(bench.objects.inner.archives == ["archives/\(job.id)/1-2.zip"])
        }
    }

    @Test func theLastFailureIsFinalInHistoryAndRecord() async throws {
        try await DownloadBench.with { bench in
            bench.objects.add(70_000)
            let job = try await bench.accept([70_000])
            bench.objects.inner.state.withLock { $0.writeFails = true }
            await #expect(throws: (any Error).self) {
                try await DownloadWorker(bench.context(attempt: 3)).work(bench.job(job, attempt: 3))
            }
            let record = try await bench.record(job.id)
            #expect(record.status == .failed)
            let row = try await bench.row(job.id)
            #expect(row.status == "failed")
            #expect(row.error == "storage_error: A store could not do what was needed.")
            #expect(bench.objects.inner.archives.isEmpty)
        }
    }

    @Test func aJobWithoutAnyFileFailsAtOnceWithTheReasons() async throws {
        try await DownloadBench.with { bench in
            let job = try await bench.accept([70_000, 70_001])
            await #expect(throws: Permanent.self) { try await DownloadWorker(bench.context()).work(bench.job(job)) }
            let record = try await bench.record(job.id)
            #expect(record.status == .failed)
            #expect(record.failure?.message.contains("70000") == true)
            #expect(record.files.map(\.state) == [.failed, .failed])
            #expect(record.files.allSatisfy { $0.error == "The file does not exist." })
            #expect(record.progress.current == 2)
            let files = try await bench.history.files(of: job.id.description)
            #expect(files.map(\.status) == ["failed", "failed"])
            #expect(try await bench.row(job.id).status == "failed")
            #expect(bench.objects.inner.archives.isEmpty)
        }
    }

    @Test func aMissingFileFailsTheJobWhenThatWasAsked() async throws {
        try await DownloadBench.with { bench in
            bench.objects.add(70_000)
            let job = try await bench.accept([70_000, 70_001], onMissing: .fail)
            await #expect(throws: Permanent.self) { try await DownloadWorker(bench.context()).work(bench.job(job)) }
            #expect(try await bench.record(job.id).status == .failed)
            #expect(try await bench.record(job.id).failure?.code == "validation_error")
        }
    }

    @Test func whatIsInvalidIsNotTriedAgain() async throws {
        try await DownloadBench.with { bench in
            bench.objects.add(70_000)
            bench.objects.inner.state.withLock {
                $0.headFailures = ["downloads/70000.zip"]
                $0.headFailureClass = .validation
            }
            let job = try await bench.accept([70_000], onMissing: .fail)
            await #expect(throws: Permanent.self) { try await DownloadWorker(bench.context()).work(bench.job(job)) }
            #expect(try await bench.record(job.id).status == .failed)
            #expect(try await bench.record(job.id).failure?.code == "validation_error")
        }
    }

    @Test func nothingIsPromisedAboutAJobThatIsNotWorked() async throws {
        try await DownloadBench.with { bench in
            bench.objects.add(70_000)
            let job = try await bench.accept([70_000])
            bench.objects.inner.state.withLock { $0.writeFails = true }
            for attempt in 1...3 {
                await #expect(throws: (any Error).self) {
                    try await DownloadWorker(bench.context(attempt: attempt)).work(bench.job(job, attempt: attempt))
                }
                #expect(try await bench.record(job.id).progress.secondsRemaining == nil)
            }
        }
    }

    @Test func aJobOfTheQueueSpeaksOnlyForItself() async throws {
        try await DownloadBench.with { bench in
            bench.objects.add(70_000)
            let job = try await bench.accept([70_000])
            let foreign = QueueJob(
                id: "17", name: "x", queue: DownloadTask.queue, payload: bench.job(job).payload, attempt: 1,
                maxAttempts: 1, addedAt: .now)
            await #expect(throws: Permanent.self) { try await DownloadWorker(bench.context()).work(foreign) }
            #expect(try await bench.record(job.id) == job)
        }
    }

    @Test func aWorkerThatLostTheJobToAnotherChangesNothingAndLeavesNothing() async throws {
        try await DownloadBench.with { bench in
            bench.objects.add(70_000)
            let job = try await bench.accept([70_000])
            // While the first writes its archive, the queue gives the stalled job to a second one, which finishes it.
            let isFirst = Mutex(true)
            bench.objects.beforeWrite.withLock {
                $0 = { _ in
                    let mine = isFirst.withLock { flag in
                        defer { flag = false }
                        return flag
                    }
                    // A task of its own: the first one is cancelled as soon as it has looked at the record.
                    if mine {
                        _ = try await Task { try await DownloadWorker(bench.context()).work(bench.job(job)) }.value
                    }
                }
            }
            let outcome = try await DownloadWorker(bench.context()).work(bench.job(job))
            #expect(outcome.status == .ready || outcome.status == .processing)
            #expect(try await bench.record(job.id).archive?.key == "archives/\(job.id)/1-2.zip")
            #expect(try await bench.row(job.id).archive?.key == "archives/\(job.id)/1-2.zip")
            #expect(bench.objects.inner.archives == ["archives/\(job.id)/1-2.zip"])
        }
    }

    @Test func aLoserInTheHistoryDeletesItsArchive() async throws {
        try await DownloadBench.with { bench in
            bench.objects.add(70_000)
            let job = try await bench.accept([70_000])
            let other = HistoryArchive(key: "archives/other.zip", sizeBytes: 5, crc32: 6)
            bench.objects.beforeWrite.withLock {
                $0 = { _ in
                    let change = HistoryChange(
                        status: "ready", at: .now, expiresAt: .now + .seconds(60), archive: other)
                    _ = try await bench.history.update(
                        job.id.description, round: 1, from: ["processing"], change: change)
                }
            }
            let outcome = try await DownloadWorker(bench.context()).work(bench.job(job))
            #expect(outcome.archive?.key == other.key)
            #expect(bench.objects.inner.archives.isEmpty)
            let record = try await bench.record(job.id)
            #expect(record.status == .ready)
            #expect(record.archive == other)
        }
    }

    @Test func aRedeliveredJobThatIsFinishedInTheHistoryIsOnlyBroughtInLine() async throws {
        try await DownloadBench.with { bench in
            bench.objects.add(70_000)
            let job = try await bench.accept([70_000])
            // As when a worker died between the history and the record.
            let archive = HistoryArchive(key: "archives/x.zip", sizeBytes: 5, crc32: 6)
            _ = try await bench.history.update(
                job.id.description, round: 1, from: ["queued"],
                change: HistoryChange(status: "ready", at: .now, expiresAt: .now + .seconds(60), archive: archive))
            let outcome = try await DownloadWorker(bench.context()).work(bench.job(job))
            #expect(outcome.archive?.key == archive.key)
            #expect(try await bench.record(job.id).archive == archive)
            #expect(bench.objects.inner.state.withLock { $0.reads.isEmpty })
        }
    }

    @Test func anAnswerOfTheHistoryThatWasLostDoesNotLoseTheArchive() async throws {
        try await DownloadBench.with { bench in
            bench.objects.add(70_000)
            let job = try await bench.accept([70_000])
            bench.history.losesAnswers.withLock { $0 = ["ready"] }
            let outcome = try await DownloadWorker(bench.context()).work(bench.job(job))
            #expect(outcome.status == .ready)
            let record = try await bench.record(job.id)
            #expect(record.status == .ready)
            #expect(bench.objects.inner.archives == [record.archive?.key ?? ""])
        }
    }

    @Test func aHistoryThatIsAwayAtTheEndCostsTheAttempt() async throws {
        try await DownloadBench.with { bench in
            bench.objects.add(70_000)
            let job = try await bench.accept([70_000])
            bench.history.fails.withLock { $0 = ["ready"] }
            await #expect(throws: StoreIsAway.self) { try await DownloadWorker(bench.context()).work(bench.job(job)) }
            #expect(try await bench.record(job.id).status == .queued)
            bench.history.fails.withLock { $0 = [] }
            let outcome = try await DownloadWorker(bench.context(attempt: 2)).work(bench.job(job, attempt: 2))
            #expect(outcome.status == .ready)
        }
    }

    @Test func redisGoingAwayMeanwhileDoesNotStopTheWork() async throws {
        try await DownloadBench.with { bench in
            bench.objects.add(70_000)
            bench.objects.add(70_001)
            let job = try await bench.accept([70_000, 70_001])
            let claims = Mutex(0)
            bench.keyValue.fails.withLock {
                $0 = { script in
                    guard script == "job-advance" else { return false }
                    // The claim passes; nothing after it.
                    return claims.withLock { count in
                        count += 1
                        return count > 1
                    }
                }
            }
            let outcome = try await DownloadWorker(bench.context()).work(bench.job(job))
            #expect(outcome.status == .ready)
            #expect(try await bench.row(job.id).status == "ready")
            #expect(try await bench.record(job.id).status == .processing)
            // Redis is back: the queue's event brings the record in line, files included.
            bench.keyValue.fails.withLock { $0 = { _ in false } }
            for _ in 0..<2 { try await JobEvents(bench.context()).complete(outcome, of: job.id.description) }
            let record = try await bench.record(job.id)
            #expect(record.status == .ready)
            #expect(record.files.allSatisfy { $0.state == .completed && $0.sizeBytes == 1_000 })
            #expect(record.expiresAt == (try await bench.row(job.id)).expiresAt)
        }
    }

    @Test func staleAndFinishedJobsAreLeftAlone() async throws {
        try await DownloadBench.with { bench in
            let job = try await bench.accept([70_000])
            let next = JobRecord(
                id: job.id, round: 2, owner: nil, options: "{}", fileIDs: [70_000], maxAttempts: 3, createdAt: .now,
                updatedAt: .now)
            #expect(try await bench.store.create(next))
            #expect(try await DownloadWorker(bench.context()).work(bench.job(job)).status == .queued)
            #expect(try await bench.record(job.id) == next)
            var cancelled = next
            cancelled.status = .cancelled
            _ = try await bench.store.advance(&cancelled, from: [.queued], claim: .any, messages: [.status])
            #expect(try await DownloadWorker(bench.context()).work(bench.job(next)).status == .cancelled)
        }
    }

    @Test func aJobWhoseRecordIsGoneIsLeftToTheReconciler() async throws {
        try await DownloadBench.with { bench in
            let job = try await bench.accept([70_000])
            _ = try await bench.redis.send(["DEL", JobStore.key(job.id)])
            let outcome = try await DownloadWorker(bench.context()).work(bench.job(job))
            #expect(outcome == DownloadOutcome(status: .queued, round: 1))
            // The status is told from the history.
            #expect(try await bench.context().downloadJob(job.id).status == .queued)
            let unknown = JobRecord(
                id: JobID(), owner: nil, options: "{}", fileIDs: [70_000], maxAttempts: 3, createdAt: .now,
                updatedAt: .now)
            await #expect(throws: Permanent.self) {
                try await DownloadWorker(bench.context()).work(bench.job(unknown))
            }
        }
    }

    @Test(arguments: [true, false])
    func aCancelledAttemptCountsOnlyPastItsDeadline(_ isPastDeadline: Bool) async throws {
        try await DownloadBench.with { bench in
            bench.objects.add(70_000)
            let job = try await bench.accept([70_000])
            let reached = Mutex(false)
            bench.objects.beforeWrite.withLock {
                $0 = { _ in
                    reached.withLock { $0 = true }
                    try await Task.sleep(for: .seconds(60))
                }
            }
            let context = bench.context(attempt: 3, timeLimit: isPastDeadline ? .zero : .seconds(60))
            let task = Task { try await DownloadWorker(context).work(bench.job(job, attempt: 3)) }
            try await eventually { reached.withLock { $0 } }
            task.cancel()
            await #expect(throws: (any Error).self) { try await task.value }
            let record = try await bench.record(job.id)
            #expect(record.status == (isPastDeadline ? .failed : .queued))
            #expect(record.failure?.code == (isPastDeadline ? "timeout_error" : nil))
            #expect(try await bench.row(job.id).status == (isPastDeadline ? "failed" : "queued"))
            #expect(bench.objects.inner.archives.isEmpty)
        }
    }

    @Test func aThousandSmallFilesAreFollowed() async throws {
        try await DownloadBench.with { bench in
            let ids = Array(Int64(20_000)..<21_000)
            for id in ids where id % 10 != 0 { bench.objects.add(id, 10) }
            let job = try await bench.accept(ids)
            let reports = Reports()
            let outcome = try await DownloadWorker(bench.context(reports: reports)).work(bench.job(job))
            #expect(outcome.status == .ready)
            let record = try await bench.record(job.id)
            #expect(record.files.count { $0.state == .completed } == 900)
            #expect(record.files.count { $0.state == .failed && $0.error != nil } == 100)
            #expect(record.seq >= job.seq + 1_000)
            let kept = try await bench.history.files(of: job.id.description)
            #expect(kept.count == 1_000)
            for text in reports.all.withLock({ $0 }) {
                #expect(try JSON.decode(ProgressReport.self, from: text).files.count <= ProgressReport.maxFiles)
            }
        }
    }
}
