import Foundation
import FunctionKit
import NIOCore
import TestSupport
import Testing

@testable import Downloads

/// What others can write into Redis, a database and a queue: it is read or refused, and whatever is read can be shown.
@Suite struct MutatedRecordTests {
    private static let count = ProcessInfo.processInfo.environment["FERRY_SOAK"] == "1" ? 20_000 : 2_000
    private static let words = [
        "ready", "failed", "queued", "expired", "cancelled", "processing", "-", "-----------", "fffffffffff",
        "4294967297",
        "9007199254740993", "-9223372036854775808", "9223372036854775807", "1000", "9223372036854775807 0 - -",
        "1 9223372036854775807",
        "p", "cfp", "0\tx\n",
    ]

    /// Shows a record in every way there is.
    private func show(_ record: JobRecord) throws {
        let request = Request(method: .get, path: "/", headers: [.ifNoneMatch: "\"1\""])
        for time in [Timestamp.now, Timestamp(milliseconds: .max), Timestamp(milliseconds: .min)] {
            var writer = JSONWriter(capacity: 64)
            record.write(to: &writer, at: time)
            _ = try JSONSerialization.jsonObject(with: Data(writer.buffer.readableBytesView))
            _ = record.response(to: request, at: time)
            for last in [0, record.seq - 1, .max] {
                for message in WatchMessage.snapshot(of: record, after: last, at: time) {
                    _ = try JSONSerialization.jsonObject(with: Data(message.json.readableBytesView))
                    let read = try #require(WatchMessage(published: message.json))
                    #expect(read.seq == message.seq && read.kind == message.kind)
                }
            }
        }
        let places = Array(record.files.indices)
        _ = JobMessage.progress.text(record, changed: places)
        #expect(record.fileCells(places).utf8.count == places.count * 16)
        _ = record.errorLines(places) + record.archiveName + (record.constantFields + record.variableFields).joined()
        _ = JobRecordTests.values(record)
    }

    @Test func `a record of Redis is read or corrupt`() throws {
        let good = [JobRecordTests.full(), JobRecordTests.queued()].map(JobRecordTests.values)
        let texts = good.flatMap { $0.compactMap(\.string) }
        var mutator = TextMutator(seed: 1, corpus: texts, words: Self.words)
        var generator = SeededGenerator(seed: 2)
        var read = 0
        for number in 0..<Self.count {
            var values = good[number % 2]
            for _ in 0...Int.random(in: 0..<3, using: &generator) {
                let place = Int.random(in: 0..<values.count, using: &generator)
                values[place] = .bytes(ByteBuffer(bytes: mutator.next()))
                if Int.random(in: 0..<4, using: &generator) == 0 {
                    values[place] = .bytes(ByteBuffer(string: Self.words.randomElement(using: &generator) ?? ""))
                }
            }
            do {
                guard let record = try JobRecord(id: JobRecordTests.id, values: values) else { continue }
                read += 1
                try show(record)
            } catch let error as DownloadsError {
                #expect(error.code == .corruptRecord)
            }
        }
        #expect(read > 0)
    }

    @Test func `a row of the history is a job's or none`() throws {
        var options = TextMutator(seed: 3, corpus: [JobRecordTests.full().options, DownloadOptions().json])
        var errors = TextMutator(seed: 4, corpus: ["storage_error: It broke", "x", "unknown_error: "])
        var generator = SeededGenerator(seed: 5)
        let numbers: [Int64] = [0, 1, -1, .max, .min, 1 << 32, 1 << 53, 1_795_438_672_063]
        let statuses = JobStatus.allCases.map(\.rawValue) + ["", "Ready", "x"]
        func number() -> Int64 { numbers.randomElement(using: &generator) ?? 0 }
        for _ in 0..<Self.count {
            let status = statuses.randomElement(using: &generator) ?? ""
            let ids = (0..<Int.random(in: 0..<4, using: &generator)).map { _ in number() }
            let job = HistoryJob(
                id: JobRecordTests.id.description, owner: nil,
                round: Int.random(in: 0..<4, using: &generator) == 0 ? Int(number()) : 1,
                status: status, fileIDs: ids, options: String(decoding: options.next(), as: UTF8.self),
                createdAt: Timestamp(milliseconds: number()), updatedAt: Timestamp(milliseconds: number()),
                expiresAt: Timestamp(milliseconds: number()),
                archive: HistoryArchive(key: "a", sizeBytes: number(), crc32: .max),
                error: String(decoding: errors.next(), as: UTF8.self))
            let files = ids.indices.map { place in
                HistoryFile(
                    fileID: ids[place], position: place,
                    status: ["completed", "failed", "x"].randomElement(using: &generator) ?? "",
                    key: nil, sizeBytes: number(), crc32: nil, error: nil, processedAt: nil)
            }
            _ = DownloadsConfiguration().isOver(job, at: .now)
            _ = try? job.status(at: .now)
            if let record = JobRecord(job, files: files, maxAttempts: 3) { try show(record) }
        }
    }

    @Test func `what is published on a job's channel is a message or none`() {
        var record = JobRecordTests.full()
        record.status = .processing
        let corpus = [JobMessage.status, .progress, .complete, .failure(isFinal: true)].map { message in
            String(buffer: message.json(record, status: record.status, changed: [0, 1, 2], seq: "4294967299"))
        }
        var mutator = TextMutator(
            seed: 6, corpus: corpus,
            words: [
                "status", "progress", "seq", "data", "final", "true", "9223372036854775807", "-1", "files", "file_id",
            ])
        for _ in 0..<Self.count {
            let text = ByteBuffer(bytes: mutator.next())
            guard let message = WatchMessage(published: text) else { continue }
            _ = (message.event, message.text, JobRecord.round(of: message.seq))
            if let progress = PublishedProgress(text) {
                let parts = [progress.beforeFiles] + progress.files.map(\.json) + [progress.afterFiles]
                #expect(
                    parts.reduce(0) { $0 + $1.readableBytes } + max(progress.files.count - 1, 0) == text.readableBytes)
            }
        }
    }

    @Test func `cursors, ids and job data of any form are read or refused`() {
        let id = JobRecordTests.id.description
        let place = HistoryPlace(time: Timestamp(milliseconds: 1_795_438_672_063), id: id)
        var cursors = TextMutator(
            seed: 7, corpus: [JobListCursor.text(place), id], words: ["é", "😀", "zzzzzzzzzzz", "."])
        var tasks = TextMutator(
            seed: 8,
            corpus: [
                DownloadTask(JobRecordTests.full(), requestID: "r").json,
                #"{"round":1,"current":1,"total":2,"percentage":50,"files":[]}"#,
            ])
        for _ in 0..<Self.count {
            let text = String(decoding: cursors.next(), as: UTF8.self)
            if let place = JobListCursor.place(text) {
                #expect(JobListCursor.place(JobListCursor.text(place)) == place, "\(text)")
            }
            if let id = JobID(text) { #expect(JobID(id.description) == id) }
            let data = String(decoding: tasks.next(), as: UTF8.self)
            _ = try? JSON.decode(DownloadTask.self, from: data)
            _ = try? JSON.decode(ProgressReport.self, from: data)
            _ = DownloadOptions(json: data)
            _ = JobFailure(historyText: data)
        }
    }
}
