import Foundation
import FunctionKit
import NIOCore
import Testing

@testable import Downloads

@Suite struct WatchMessageTests {
    private func record(_ files: Int = 3) -> JobRecord {
        JobRecord(
            id: JobID(), owner: nil, options: "{}", fileIDs: (0..<Int64(files)).map { 70_000 + $0 }, maxAttempts: 3,
            createdAt: .now, updatedAt: .now)
    }

    private func published(_ message: JobMessage, _ record: JobRecord, _ seq: Int64, changed: [Int] = []) -> ByteBuffer
    {
        message.json(record, status: record.status, changed: changed, seq: String(seq))
    }

    private func scanned(_ json: ByteBuffer) -> PublishedForm? { json.withUnsafeReadableBytes(PublishedForm.init) }

    private func progress(
        _ record: inout JobRecord, _ seq: Int64, _ files: [(Int, JobFile.State, String?)]
    ) throws
        -> WatchMessage
    {
        for (place, state, error) in files {
            record.files[place].state = state
            record.files[place].sizeBytes = state == .completed ? 512 : nil
            record.files[place].error = error
        }
        record.progress.permille = Int(seq % 1_000)
        let json = published(.progress, record, seq, changed: files.map(\.0))
        return try #require(WatchMessage(published: json))
    }

    @Test(arguments: JobStatus.allCases, [1, 4_294_967_297, 1 << 52 + 7] as [Int64])
    func `what is published is read without decoding it`(_ status: JobStatus, _ seq: Int64) throws {
        var record = record()
        record.status = status
        record.failure = JobFailure(
            code: "storage_error", message: #"quotes " and "final":true}, braces } and ünïcode"#)
        let isEnd = status == .cancelled || status == .expired
        let expected: [(JobMessage, WatchMessage.Kind, Bool)] = [
            (.status, .status, isEnd), (.progress, .progress, false), (.complete, .complete, true),
            (.failure(isFinal: true), .error, true), (.failure(isFinal: false), .error, false),
        ]
        for (message, kind, isFinal) in expected {
            let json = published(message, record, seq)
            let form = try #require(scanned(json))
            #expect(form.kind == kind && form.seq == seq && form.isFinal == isFinal)
            let read = try #require(WatchMessage(published: json))
            #expect(read == WatchMessage(kind, seq: seq, isFinal: isFinal, json: json))
        }
    }

    @Test func `a message of another form is decoded`() throws {
        let texts: [(String, WatchMessage.Kind, Int64, Bool)] = [
            (#"{"seq":7,"type":"status","data":{"status":"cancelled"},"new":[]}"#, .status, 7, true),
            (#"{"seq":7,"type":"status","data":{"status":"queued"}}"#, .status, 7, false),
            (#" {"type":"error","data":{"final":true},"seq":8,"timestamp":"2026"}"#, .error, 8, true),
            (#"{"type":"error","data":{},"seq":8}"#, .error, 8, false),
            (#"{"type":"complete","data":{},"seq":9}"#, .complete, 9, true),
            (#"{"type":"progress","data":{"later":1},"seq":9}"#, .progress, 9, false),
        ]
        for (text, kind, seq, isFinal) in texts {
            let json = ByteBuffer(string: text)
            #expect(scanned(json) == nil)
            #expect(WatchMessage(published: json) == WatchMessage(kind, seq: seq, isFinal: isFinal, json: json))
        }
    }

    @Test func `what is no message is refused, whatever it is`() throws {
        let good = String(buffer: published(.status, record(), 4_294_967_297))
        let texts = [
            "", "{", "[]", "7", "end", #"{"type":"status"}"#, #"{"type":"other","data":{},"seq":1}"#,
            #"{"type":"status","data":{},"seq":"1"}"#, #"{"type":"progress","data":{},"seq":1e99}"#,
            String(good.dropLast()), String(good.dropFirst()), good + "x",
            good.replacingOccurrences(of: "4294967297", with: "99999999999999999999"),
        ]
        for text in texts { #expect(WatchMessage(published: ByteBuffer(string: text)) == nil, "\(text)") }
        var broken = ByteBuffer(string: good)
        broken.setInteger(UInt8(0xFF), at: 60)
        #expect(WatchMessage(published: broken) == nil)
        // Nothing traps, whatever is cut off.
        for count in 0..<good.utf8.count { _ = WatchMessage(published: ByteBuffer(bytes: good.utf8.prefix(count))) }
        for count in 0..<good.utf8.count { _ = WatchMessage(published: ByteBuffer(bytes: good.utf8.suffix(count))) }
        #expect(WatchMessage(published: ByteBuffer(repeating: 0x20, count: WatchMessage.maxBytes + 1)) == nil)
    }

    @Test func `progress that waits becomes one message with every file's newest result`() throws {
        var record = record(4)
        var batch = WatchBatch()
        let wild = #"a "quoted" } ] and \ back, ünïcode"#
        batch.append(try progress(&record, 10, [(0, .failed, wild)]))
        batch.append(try progress(&record, 11, []))
        batch.append(try progress(&record, 12, [(1, .completed, nil), (2, .failed, "x")]))
        batch.append(try progress(&record, 13, [(2, .completed, nil)]))
        let newest = try progress(&record, 14, [])
        batch.append(newest)
        let merged = batch.take()
        #expect(merged.count == 1 && batch.isEmpty)
        let message = try object(String(buffer: try #require(merged.first).json))
        #expect(message["seq"] as? Int == 14 && merged[0].seq == 14 && message["type"] as? String == "progress")
        let data = try #require(message["data"] as? [String: Any])
        #expect((data["progress"] as? [String: Any])?["percentage"] as? Double == 1.4)
        let files = try #require(data["files"] as? [[String: Any]])
        #expect(files.map { $0["file_id"] as? Int } == [70_000, 70_001, 70_002])
        #expect(files.map { $0["status"] as? String } == ["failed", "completed", "completed"])
        #expect(files[0]["error"] as? String == wild && files[2]["error"] == nil)
        // What was merged is a published form again.
        #expect(scanned(merged[0].json)?.seq == 14)
    }

    @Test func `with nothing to merge the newest is passed on as it is`() throws {
        var record = record()
        var batch = WatchBatch()
        batch.append(try progress(&record, 10, []))
        batch.append(try progress(&record, 11, []))
        let newest = try progress(&record, 12, [(0, .completed, nil)])
        batch.append(newest)
        #expect(batch.take() == [newest])
    }

    @Test func `other messages are never merged, and stay in order`() throws {
        var record = record()
        var batch = WatchBatch()
        func status(_ seq: Int64) throws -> WatchMessage {
            try #require(WatchMessage(published: published(.status, record, seq)))
        }
        let failure = try #require(
            WatchMessage(published: published(.failure(isFinal: false), record, 14)))
        batch.append(try progress(&record, 10, [(0, .completed, nil)]))
        batch.append(try progress(&record, 11, [(1, .completed, nil)]))
        batch.append(try status(12))
        batch.append(try status(13))
        batch.append(failure)
        batch.append(try progress(&record, 15, []))
        let taken = batch.take()
        #expect(taken.map(\.seq) == [11, 12, 13, 14, 15])
        #expect(taken.map(\.kind) == [.progress, .status, .status, .error, .progress])
        #expect(try taken.seen[0].files == [70_000, 70_001])
    }

    @Test func `progress of another form is passed on unmerged`() throws {
        var record = record()
        var batch = WatchBatch()
        let foreign = ByteBuffer(string: #"{"type":"progress","data":{"files":[]},"seq":11}"#)
        batch.append(try progress(&record, 10, [(0, .completed, nil)]))
        batch.append(try #require(WatchMessage(published: foreign)))
        #expect(batch.take().map(\.seq) == [10, 11])
    }

    @Test func `a snapshot leaves out what its watcher has seen`() {
        var record = record()
        let seq = record.seq + 40
        record.seq = seq
        func kinds(_ status: JobStatus, after last: Int64, expired: Bool = false) -> [String] {
            record.status = status
            record.expiresAt = expired ? .now : nil
            let messages = WatchMessage.snapshot(of: record, after: last, at: .now)
            #expect(messages.last.map { $0.isFinal == status.isFinished } ?? true)
            #expect(messages.dropLast().allSatisfy { !$0.isFinal })
            return messages.map { "\($0.kind)\($0.seq - seq)" }
        }
        #expect(kinds(.queued, after: 0) == ["status0"])
        #expect(kinds(.processing, after: seq) == [])
        #expect(kinds(.ready, after: 0) == ["status-1", "complete0"])
        #expect(kinds(.failed, after: seq - 2) == ["status-1", "error0"])
        #expect(kinds(.failed, after: seq - 1) == ["error0"])
        #expect(kinds(.ready, after: seq) == [])
        #expect(kinds(.cancelled, after: seq - 1) == ["status0"])
        #expect(kinds(.expired, after: seq + 1) == [])
        #expect(kinds(.ready, after: seq - 1, expired: true) == ["status0"])
    }
}
