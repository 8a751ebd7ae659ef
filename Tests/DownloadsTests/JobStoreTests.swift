import FunctionKit
import NIOCore
import RedisClient
import TestSupport
import Testing

@testable import Downloads

@Suite struct JobStoreTests {
    private func fresh(_ files: [Int64] = [70_000, 70_001, 70_002]) -> JobRecord {
        JobRecord(
            id: JobID(), owner: "ann", options: DownloadOptions().json, fileIDs: files, maxAttempts: 3, createdAt: .now,
            updatedAt: .now)
    }

    @Test func aRecordIsCreatedOnceARoundAndRead() async throws {
        try await DownloadBench.with { bench in
            let record = fresh()
            #expect(try await bench.store.load(record.id) == nil)
            #expect(try await bench.store.create(record))
            #expect(try await bench.store.load(record.id) == record)
            #expect(try await !bench.store.create(record))
            let next = JobRecord(
                id: record.id, round: 2, owner: "ann", options: "{}", fileIDs: [70_009], maxAttempts: 3,
                createdAt: record.createdAt, updatedAt: .now)
            #expect(try await bench.store.create(next))
            #expect(try await bench.store.load(record.id) == next)
            #expect(next.seq > record.seq + 1 << 31)
            #expect(try await !bench.store.create(record))
            let ttl = try #require(try await bench.redis.send(["PTTL", JobStore.key(record.id)]).integer)
            #expect((2_591_000_000...2_592_000_000).contains(ttl))
        }
    }

    @Test func aChangeIsRefusedInAnotherRoundStateOrClaim() async throws {
        try await DownloadBench.with { bench in
            var record = fresh()
            _ = try await bench.store.create(record)
            func advance(
                _ record: JobRecord, from states: Set<JobStatus>, _ claim: JobStore.Claim
            ) async throws -> JobStore.Refusal.Reason? {
                var copy = record
                copy.status = .processing
                let result = try await bench.store.advance(&copy, from: states, claim: claim, messages: [.status])
                guard case .refused(let refusal) = result else { return nil }
                #expect(copy.seq == record.seq)
                return refusal.reason
            }
            let before = try await bench.redis.send(["HGETALL", JobStore.key(record.id)])
            #expect(try await advance(fresh(), from: [.queued], .any) == .noRecord)
            let other = JobRecord(
                id: record.id, round: 2, owner: nil, options: "", fileIDs: [], maxAttempts: 1, createdAt: .now,
                updatedAt: .now)
            #expect(try await advance(other, from: [.queued], .any) == .otherRound)
            #expect(try await advance(record, from: [.processing, .ready], .any) == .otherState)
            #expect(try await advance(record, from: [.queued], .held(1)) == .otherClaim)
            #expect(try await bench.redis.send(["HGETALL", JobStore.key(record.id)]) == before)
            #expect(try await advance(record, from: [.queued], .take) == nil)
            #expect(try await advance(record, from: [.processing], .held(0)) == .otherClaim)
            record = try await bench.record(record.id)
            #expect(record.claim == 1)
            #expect(try await advance(record, from: [.processing], .held(1)) == nil)
        }
    }

    @Test func oneOfAHundredWins() async throws {
        try await DownloadBench.with { bench in
            let record = fresh()
            _ = try await bench.store.create(record)
            let winners = try await withThrowingTaskGroup(of: Int?.self) { group in
                for number in 0..<100 {
                    group.addTask {
                        var mine = record
                        mine.status = .processing
                        mine.attempt = number
                        let result = try await bench.store.advance(
                            &mine, from: [.queued], claim: .take, messages: [.status])
                        if case .done = result { return number }
                        return nil
                    }
                }
                return try await group.reduce(into: [Int]()) { if let number = $1 { $0.append(number) } }
            }
            #expect(winners.count == 1)
            let after = try await bench.record(record.id)
            #expect(after.attempt == winners.first)
            #expect(after.seq == record.seq + 1)
            #expect(after.claim == 1)
        }
    }

    @Test func everyChangeIsPublishedWithASeqThatStrictlyIncreases() async throws {
        try await DownloadBench.with { bench in
            var record = fresh()
            let subscription = try await bench.redis.subscribe(JobStore.channel(record.id))
            _ = try await bench.store.create(record)
            record.status = .processing
            _ = try await bench.store.advance(&record, from: [.queued], claim: .take, messages: [.status])
            let claimed = record
            try await withThrowingTaskGroup { group in
                for number in 0..<100 {
                    group.addTask {
                        var mine = claimed
                        mine.progress.bytes = Int64(number)
                        _ = try await bench.store.advance(
                            &mine, from: [.processing], claim: .held(1), messages: [.progress])
                    }
                }
                try await group.waitForAll()
            }
            record.failure = JobFailure(code: "storage_error", message: "quote \" and control \u{1}")
            record.status = .queued
            let result = try await bench.store.advance(
                &record, from: [.processing], claim: .held(1), messages: [.failure(isFinal: false), .status])
            guard case .done = result else {
                Issue.record("the change was refused")
                return
            }
            var types: [String] = []
            var last: Int64 = 0
            for await element in subscription {
                guard case .message(let bytes) = element else { continue }
                let message = try object(String(buffer: bytes))
                let seq = try #require(message["seq"] as? Int64)
                #expect(seq > last)
                last = seq
                let type = try #require(message["type"] as? String)
                types.append(type)
                let data = try #require(message["data"] as? [String: Any])
                #expect(message["timestamp"] is String)
                switch type {
                case "status": #expect(data["seq"] as? Int64 == seq)
                case "error":
                    #expect(data["message"] as? String == "quote \" and control  ")
                    #expect(data["code"] as? String == "storage_error")
                    #expect(data["final"] as? Bool == false)
                default: #expect(data["progress"] != nil)
                }
                if types.count == 104 { break }
            }
            let progress = Array(repeating: "progress", count: 100)
            #expect(types == ["status", "status"] + progress + ["error", "status"])
            #expect(last == record.seq)
            #expect(try await bench.record(record.id).seq == last)
            #expect(last == 1 << 32 + 1 + 103)
        }
    }

    @Test func resultsOfFilesAreWrittenInPlaceAndMayComeAgain() async throws {
        try await DownloadBench.with { bench in
            var record = fresh(Array(20_000..<21_000))
            _ = try await bench.store.create(record)
            record.status = .processing
            _ = try await bench.store.advance(&record, from: [.queued], claim: .take, messages: [.status])
            record.files[0] = JobFile(id: 20_000, state: .completed, sizeBytes: 1 << 40)
            record.files[999] = JobFile(id: 20_999, state: .failed, error: "gone\nfor\tgood")
            record.files[500] = JobFile(id: 20_500, state: .completed, sizeBytes: 0)
            let changed = [0, 999, 500]
            for _ in 0..<2 {
                _ = try await bench.store.advance(
                    &record, from: [.processing], claim: .held(1), changed: changed, messages: [.progress])
            }
            let read = try await bench.record(record.id)
            record.files[999].error = "gone for good"
            #expect(read.files == record.files)
            #expect(read.progress.current == 3)
            // Another worker begins anew.
            var next = read
            next.beginAttempt(2)
            _ = try await bench.store.advance(&next, from: [.processing], claim: .take, messages: [.status])
            let begun = try await bench.record(record.id)
            #expect(begun.files.allSatisfy { $0.state == .pending && $0.sizeBytes == nil && $0.error == nil })
            #expect(begun.claim == 2)
            #expect(begun == next)
        }
    }

    @Test func seqStaysExactInLateRounds() async throws {
        try await DownloadBench.with { bench in
            var record = JobRecord(
                id: JobID(), round: 1 << 20, owner: nil, options: "{}", fileIDs: [70_000], maxAttempts: 1,
                createdAt: .now, updatedAt: .now)
            _ = try await bench.store.create(record)
            for step in 1...3 {
                _ = try await bench.store.advance(&record, from: [.queued], claim: .any, messages: [.status])
                #expect(record.seq == 1 << 52 + 1 + Int64(step))
            }
            #expect(try await bench.record(record.id).seq == 1 << 52 + 4)
        }
    }

    @Test func theHistoryWinsOverAnUnfinishedRecordOnly() async throws {
        try await DownloadBench.with { bench in
            var record = fresh([70_000])
            _ = try await bench.store.create(record)
            func row(_ status: String, round: Int = 1) -> HistoryJob {
                HistoryJob(
                    id: record.id.description, owner: "ann", round: round, status: status, fileIDs: [70_000],
                    options: "{}", createdAt: record.createdAt, updatedAt: .now, expiresAt: .now + .seconds(60),
                    archive: HistoryArchive(key: "k", sizeBytes: 1, crc32: 2))
            }
            try await bench.store.align(with: row("processing"), files: [])
            try await bench.store.align(with: row("ready", round: 2), files: [])
            #expect(try await bench.record(record.id) == record)
            try await bench.store.align(with: row("ready"), files: [])
            record = try await bench.record(record.id)
            #expect(record.status == .ready)
            #expect(record.archive?.key == "k")
            try await bench.store.align(with: row("failed"), files: [])
            #expect(try await bench.record(record.id) == record)
        }
    }
}
