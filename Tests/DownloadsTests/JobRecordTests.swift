import Foundation
import FunctionKit
import NIOCore
import Testing

@testable import Downloads

@Suite struct JobRecordTests {
    static let id = JobID("6f9619ff-8b86-4d01-b42d-00cf4fc964ff") ?? JobID()

    static func queued(files: [Int64] = [70_000, 70_001, 70_002]) -> JobRecord {
        JobRecord(
            id: id, owner: nil, options: DownloadOptions().json, fileIDs: files, maxAttempts: 3,
            createdAt: Timestamp(milliseconds: 1_795_438_672_063), updatedAt: Timestamp(milliseconds: 1_795_438_672_064)
        )
    }

    static func full() -> JobRecord {
        var record = JobRecord(
            id: id, round: 7, owner: "ann with spaces, ü", options: #"{"archiveName":"a b.zip","onMissing":"fail"}"#,
            fileIDs: [10_000, 100_000_000, 70_000], maxAttempts: 5, createdAt: Timestamp(milliseconds: 1),
            updatedAt: Timestamp(milliseconds: 2))
        record.status = .ready
        record.claim = 4
        record.attempt = 2
        record.files[0] = JobFile(id: 10_000, state: .completed, sizeBytes: 0)
        record.files[1] = JobFile(id: 100_000_000, state: .completed, sizeBytes: 1 << 43)
        record.files[2] = JobFile(id: 70_000, state: .failed, error: "tab\tand space: gone")
        record.files[2].error = JobFailure.line(record.files[2].error ?? "")
        record.progress = Progress(
            current: 3, total: 3, permille: 1_000, bytes: 1 << 43, totalBytes: 1 << 43, secondsRemaining: 0)
        record.failure = JobFailure(code: "storage_error", message: "It broke: twice")
        record.upload = ObjectUpload(key: "archives/x/7-4.zip", id: "u+/=~")
        record.archive = HistoryArchive(key: "archives/x y/7-4.zip", sizeBytes: 1 << 43, crc32: 0x0000_00FF)
        record.expiresAt = Timestamp(milliseconds: 1_795_438_672_063)
        return record
    }

    /// The reply that Redis would give for a record.
    static func values(_ record: JobRecord) -> [RESPValue] {
        let pairs =
            record.constantFields + record.variableFields + record.fileFields + [
                "seq", String(record.seq), "claim", String(record.claim),
            ]
        var stored: [String: String] = [:]
        for index in stride(from: 0, to: pairs.count, by: 2) { stored[pairs[index]] = pairs[index + 1] }
        #expect(Set(stored.keys) == Set(JobRecord.fields))
        return JobRecord.fields.map { stored[$0].map { .bytes(ByteBuffer(string: $0)) } ?? .null }
    }

    @Test(arguments: [queued(), queued(files: []), full(), queued(files: Array(20_000..<21_000))])
    func whatIsWrittenIsRead(_ record: JobRecord) throws {
        #expect(try JobRecord(id: Self.id, values: Self.values(record)) == record)
    }

    @Test func aRecordThatIsNotThereIsNone() throws {
        let nothing = [RESPValue](repeating: .null, count: JobRecord.fields.count)
        #expect(try JobRecord(id: Self.id, values: nothing) == nil)
    }

    @Test func whateverIsInRedisNothingTraps() throws {
        let good = Self.values(Self.full())
        let bad: [RESPValue] = [
            .null, .bytes(ByteBuffer()), .bytes(ByteBuffer(string: "x")), .bytes(ByteBuffer(string: "-1")),
            .bytes(ByteBuffer(string: "99999999999999999999")), .bytes(ByteBuffer(string: " ")),
            .bytes(ByteBuffer(string: "9\tx\n")), .bytes(ByteBuffer(string: "-1\tx\n")), .integer(.max), .array([]),
            .bytes(ByteBuffer(bytes: [0xFF, 0xFE])), .bytes(ByteBuffer(string: "ccc")),
            .bytes(ByteBuffer(string: "1,2,3,")), .bytes(ByteBuffer(string: "1,,3")),
        ]
        for place in good.indices {
            for value in bad {
                var values = good
                values[place] = value
                do {
                    _ = try JobRecord(id: Self.id, values: values)
                } catch {
                    #expect((error as? DownloadsError)?.code == .corruptRecord)
                }
            }
        }
        #expect(throws: DownloadsError(.corruptRecord, "")) { try JobRecord(id: Self.id, values: []) }
    }

    @Test func theJobIsShownAsTheContractSays() throws {
        var writer = JSONWriter()
        Self.full().write(to: &writer, at: Timestamp(milliseconds: 1_000))
        let text = String(buffer: writer.buffer)
        #expect(
            text == """
                {"jobId":"6f9619ff-8b86-4d01-b42d-00cf4fc964ff","status":"ready",\
                "progress":{"current":3,"total":3,"percentage":100,"bytes":8796093022208,"totalBytes":8796093022208,\
                "estimatedTimeRemaining":0},"filesProcessed":[\
                {"file_id":10000,"status":"completed","size":0},\
                {"file_id":100000000,"status":"completed","size":8796093022208},\
                {"file_id":70000,"status":"failed","error":"tab and space: gone"}],\
                "attempt":2,"maxAttempts":5,"error":"It broke: twice","errorCode":"storage_error","seq":30064771073,\
                "createdAt":"1970-01-01T00:00:00.001Z","updatedAt":"1970-01-01T00:00:00.002Z",\
                "expiresAt":"2026-11-23T12:57:52.063Z"}
                """)
        writer = JSONWriter()
        Self.queued().write(to: &writer, at: Timestamp(milliseconds: 1_000))
        let queued = try object(String(buffer: writer.buffer))
        #expect(queued["error"] is Foundation.NSNull)
        #expect(queued["expiresAt"] is Foundation.NSNull)
        #expect((queued["progress"] as? [String: Any])?["estimatedTimeRemaining"] is Foundation.NSNull)
        #expect(queued["seq"] as? Int == 4_294_967_297)
    }

    @Test func timeExpiresAnArchiveAndChangesItsTag() throws {
        let record = Self.full()
        let before = Timestamp(milliseconds: 1_795_438_672_062)
        let after = Timestamp(milliseconds: 1_795_438_672_063)
        #expect(record.status(at: before) == .ready)
        #expect(record.status(at: after) == .expired)
        #expect(record.entityTag(at: before) != record.entityTag(at: after))
        #expect(try object(record.response(to: .get("x"), at: after))["status"] as? String == "expired")
        var failed = record
        failed.status = .failed
        #expect(failed.status(at: after) == .failed)
    }

    @Test(arguments: [
        ("\"4294967297\"", true), ("W/\"4294967297\"", true), ("\"1\", \"4294967297\"", true), ("*", true),
        ("\"4294967298\"", false), ("4294967297", false), ("\"42949672971\"", false), ("", false),
    ])
    func aCallerWhoHasItGets304(_ condition: String, _ matches: Bool) {
        let record = Self.queued()
        let response = record.response(to: .get("x", headers: [.ifNoneMatch: condition]), at: .now)
        #expect((response.status == .notModified) == matches)
        #expect((response.body.readableBytes == 0) == matches)
        #expect(response.headers[.eTag] == "\"4294967297\"")
    }

    @Test func aJobIsRebuiltFromTheHistory() throws {
        let row = HistoryJob(
            id: Self.id.description, owner: "ann", round: 2, status: "ready", fileIDs: [70_000, 70_001], options: "{}",
            createdAt: Timestamp(milliseconds: 1), updatedAt: Timestamp(milliseconds: 2),
            expiresAt: Timestamp(milliseconds: 3), archive: HistoryArchive(key: "k", sizeBytes: 9, crc32: 8))
        let results = [
            HistoryFile(
                fileID: 70_000, position: 0, status: "completed", key: "k", sizeBytes: 5, crc32: 1, error: nil,
                processedAt: nil),
            HistoryFile(
                fileID: 70_001, position: 1, status: "failed", key: nil, sizeBytes: nil, crc32: nil, error: "gone",
                processedAt: nil),
            HistoryFile(
                fileID: 1, position: 99, status: "failed", key: nil, sizeBytes: nil, crc32: nil, error: nil,
                processedAt: nil),
        ]
        let record = try #require(JobRecord(row, files: results, maxAttempts: 3))
        #expect(record.status == .ready)
        #expect(record.files.map(\.state) == [.completed, .failed])
        #expect(record.progress.permille == 1_000)
        #expect(record.progress.bytes == 5)
        #expect(record.archive?.crc32 == 8)
        // Above all that watchers may have seen in the round, below the next round.
        #expect(record.seq > 2 << 32 + 1_000_000)
        #expect(record.seq < 3 << 32)
    }

    @Test func failuresSurviveTheHistory() {
        let failure = JobFailure(code: "storage_error", message: "It broke: twice\u{0}\n")
        #expect(failure.message == "It broke: twice  ")
        #expect(JobFailure(historyText: failure.historyText) == failure)
        #expect(JobFailure(historyText: "free text: more").code == "unknown_error")
        #expect(JobFailure(historyText: "free text: more").message == "free text: more")
        #expect(JobFailure(code: "x", message: String(repeating: "y", count: 10_000)).message.count == 300)
    }
}
