import Foundation
import FunctionKit
import RedisClient
import Synchronization
import Testing

@testable import Downloads
@testable import check
@testable import complete
@testable import console
@testable import download_url
@testable import fail
@testable import initiate
@testable import process
@testable import progress
@testable import start
@testable import status

@Suite struct FunctionTests {
    @Test func initiateCommitsRecordsAndQueues() async throws {
        try await DownloadBench.with { bench in
            let request = Request.post(#"{"file_ids":[70000,70001,70000],"archive_name":"a"}"#)
            let response = try await Initiate().handle(request, bench.context())
            #expect(response.status == .accepted)
            #expect(response.headers[.retryAfter] == "1")
            let body = try object(response)
            let id = try #require(JobID(body["jobId"] as? String ?? ""))
            #expect(Set(body.keys) == ["jobId", "status", "totalFileIds"])
            #expect(body["status"] as? String == "queued")
            #expect(body["totalFileIds"] as? Int == 2)
            #expect(response.headers[.location] == "/v1/download/job/\(id)")
            let row = try await bench.row(id)
            #expect(row.status == "queued")
            #expect(row.fileIDs == [70_000, 70_001])
            #expect(try await bench.record(id).archiveName == "a.zip")
            let added = try #require(bench.queue.added.withLock { $0 }.first)
            #expect(added.options.id == id.description)
            #expect(added.options.attempts == 3)
            #expect(added.options.backoff == Backoff(.exponential, delay: .seconds(2)))
            #expect(added.options.keepCompleted == KeepRule(age: .seconds(3_600)))
            #expect(added.options.keepFailed == KeepRule(age: .seconds(2_592_000)))
            let task = try JSON.decode(DownloadTask.self, from: added.data)
            #expect(task.jobId == id.description)
            #expect(task.round == 1)
            #expect(task.requestId == "request-1")
        }
    }

    @Test func initiateIsRefusedWhenTheHistoryCannotCommit() async throws {
        try await DownloadBench.with { bench in
            bench.history.fails.withLock { $0 = ["insert"] }
            await #expect(throws: StoreIsAway.self) {
                try await Initiate().handle(.post(#"{"file_ids":[70000]}"#), bench.context())
            }
            #expect(bench.queue.added.withLock { $0.isEmpty })
        }
    }

    @Test(arguments: ["record", "queue"])
    func initiateAcceptsWhileRedisIsAway(_ part: String) async throws {
        try await DownloadBench.with { bench in
            if part == "record" {
                bench.keyValue.fails.withLock { $0 = { _ in true } }
            } else {
                bench.queue.isAway.withLock { $0 = true }
            }
            let response = try await Initiate().handle(.post(#"{"file_ids":[70000]}"#), bench.context())
            #expect(response.status == .accepted)
            let id = try #require(JobID(try object(response)["jobId"] as? String ?? ""))
            #expect(try await bench.context().downloadJob(id).status == .queued)
            #expect(bench.queue.jobs.withLock { $0.isEmpty })
            await #expect(throws: StoreIsAway.self) {
                try await Reconciler(bench.context()).look(as: "a", at: .now + .seconds(6))
            }
            #expect(try await bench.row(id).round == (part == "record" ? 2 : 1))
            bench.keyValue.fails.withLock { $0 = { _ in false } }
            bench.queue.isAway.withLock { $0 = false }
            let report = try await Reconciler(bench.context()).look(as: "a", at: .now + .seconds(6))
            #expect(report?.raisedJobs == 1)
            bench.objects.add(70_000)
            let record = try await bench.record(id)
            #expect(try bench.queue.waitingRound(id) == record.round)
            #expect(try await DownloadWorker(bench.context()).work(bench.job(record)).status == .ready)
        }
    }

    @Test func initiateQueuesAlsoWhenItsCallerHasGone() async throws {
        try await DownloadBench.with { bench in
            for turn in 0..<40 {
                let task = Task { try await Initiate().handle(.post(#"{"file_ids":[70000]}"#), bench.context()) }
                try await Task.sleep(for: .microseconds(turn * 20))
                task.cancel()
                _ = try? await task.value
            }
            let rows = try await bench.history.list(
                states: ["queued"], changedBefore: .now + .seconds(60), limit: 100)
            // Either nothing was committed, or it is queued.
            try await eventually { rows.count == bench.queue.added.withLock { $0.count } }
        }
    }

    @Test func initiateTellsWhatIsMissing() async throws {
        let bare = Context(
            logger: Logger(label: "test"), function: "initiate", requestID: "r", deadline: .now + .seconds(1),
            bindings: Bindings())
        let error = await httpError { try await Initiate().handle(.post(#"{"file_ids":[70000]}"#), bare) }
        #expect(error?.status == .serviceUnavailable)
    }

    @Test func checkTellsWhatTheStoreHas() async throws {
        try await DownloadBench.with { bench in
            bench.objects.add(70_000, 123)
            let there = try await Check().handle(.post(#"{"file_id":70000}"#), bench.context())
            #expect(
                String(buffer: there.body)
                    == #"{"file_id":70000,"available":true,"s3Key":"downloads/70000.zip","size":123}"#)
            let missing = try await Check().handle(.post(#"{"file_id":70001}"#), bench.context())
            #expect(
                String(buffer: missing.body)
                    == #"{"file_id":70001,"available":false,"s3Key":null,"size":null}"#)
            bench.objects.inner.state.withLock { _ = $0.headFailures.insert("downloads/70000.zip") }
            await #expect(throws: ArchiveFaultyStore.Failure.self) {
                try await Check().handle(.post(#"{"file_id":70000}"#), bench.context())
            }
        }
    }

    @Test func startGivesTheURLOfOneFile() async throws {
        try await DownloadBench.with { bench in
            bench.objects.add(70_000, 123)
            var slow = bench
            slow.settings.startDelay = .milliseconds(30)
            let body = try object(try await Start().handle(.post(#"{"file_id":70000}"#), slow.context()))
            #expect(Set(body.keys) == ["file_id", "status", "downloadUrl", "size", "processingTimeMs", "message"])
            #expect(body["status"] as? String == "completed")
            #expect(
                body["downloadUrl"] as? String
                    == "https://store/downloads/70000.zip?expires=3600&name=70000.zip")
            #expect(body["size"] as? Int == 123)
            #expect(try #require(body["processingTimeMs"] as? Int) >= 30)
            let missing = try object(try await Start().handle(.post(#"{"file_id":70001}"#), bench.context()))
            #expect(missing["status"] as? String == "failed")
            #expect(missing["downloadUrl"] is NSNull)
        }
    }

    @Test func statusTellsTheJobFromTheRecordOrTheHistory() async throws {
        try await DownloadBench.with { bench in
            bench.objects.add(70_000)
            let job = try await bench.accept([70_000])
            let get = Request.get(job.id.description.uppercased())
            let queued = try await Status().handle(get, bench.context())
            #expect(try object(queued)["status"] as? String == "queued")
            #expect(queued.headers[.retryAfter] == "1")
            _ = try await DownloadWorker(bench.context()).work(bench.job(job))
            let ready = try await Status().handle(get, bench.context())
            let tag = try #require(ready.headers[.eTag])
            #expect(ready.headers[.retryAfter] == nil)
            let again = try await Status().handle(
                .get(job.id.description, headers: [.ifNoneMatch: tag]), bench.context())
            #expect(again.status == .notModified)
            _ = try await bench.redis.send(["DEL", JobStore.key(job.id)])
            let fallback = try object(try await Status().handle(get, bench.context()))
            var kept = try object(ready)
            #expect(fallback["status"] as? String == "ready")
            let (later, earlier) = (try #require(fallback["seq"] as? Int), try #require(kept["seq"] as? Int))
            #expect(later > earlier)
            for key in ["filesProcessed", "progress", "createdAt", "updatedAt", "expiresAt"] {
                let shown = try JSONSerialization.data(
                    withJSONObject: fallback[key] ?? "", options: [.sortedKeys, .fragmentsAllowed])
                let expected = try JSONSerialization.data(
                    withJSONObject: kept[key] ?? "", options: [.sortedKeys, .fragmentsAllowed])
                #expect(shown == expected)
            }
            kept = [:]
            let unknown = await httpError { try await Status().handle(.get(JobID().description), bench.context()) }
            #expect(unknown?.status == .notFound)
            #expect(unknown?.code == "not_found")
            let malformed = await httpError { try await Status().handle(.get("nonsense"), bench.context()) }
            #expect(malformed?.code == "validation_failed")
            // The history answers while Redis is away, and 503 is left for when both are.
            bench.keyValue.fails.withLock { $0 = { _ in true } }
            #expect(try object(try await Status().handle(get, bench.context()))["status"] as? String == "ready")
            #expect(try await DownloadURL().handle(get, bench.context()).status == .ok)
            bench.history.fails.withLock { $0 = ["find"] }
            await #expect(throws: StoreIsAway.self) { try await Status().handle(get, bench.context()) }
        }
    }

    @Test func downloadURLIsGivenOnlyForWhatIsReady() async throws {
        try await DownloadBench.with { bench in
            bench.objects.add(70_000)
            let job = try await bench.accept([70_000], name: "my files")
            let get = Request.get(job.id.description)
            let early = await httpError { try await DownloadURL().handle(get, bench.context()) }
            #expect(early?.status == .conflict)
            #expect(early?.message.contains("queued") == true)
            _ = try await DownloadWorker(bench.context()).work(bench.job(job))
            let response = try await DownloadURL().handle(get, bench.context())
            #expect(response.headers[.cacheControl] == "no-store")
            let body = try object(response)
            let record = try await bench.record(job.id)
            let archive = try #require(record.archive)
            #expect(body["downloadUrl"] as? String == "https://store/\(archive.key)?expires=3600&name=my files.zip")
            #expect(body["expiresIn"] as? Int == 3_600)
            #expect(body["fileSize"] as? Int64 == archive.sizeBytes)
            #expect(body["bucket"] as? String == "bucket")
            let checksum = try #require(body["checksum"] as? [String: String])
            #expect(checksum["algorithm"] == "crc32")
            #expect(checksum["value"]?.count == 8)
            #expect(UInt32(checksum["value"] ?? "", radix: 16) == archive.crc32)
            // A URL does not outlive its archive.
            for (left, expected) in [(100_000, 99...100), (400, 1...1)] as [(Int64, ClosedRange<Int>)] {
                var seconds: Int?
                // A busy machine may let that time pass before the question: then it is asked again.
                for _ in 0..<20 where seconds == nil {
                    _ = try await bench.redis.send([
                        "HSET", JobStore.key(job.id), "expires", String(Timestamp.now.milliseconds + left),
                    ])
                    let answer = try? await DownloadURL().handle(get, bench.context())
                    seconds = try answer.map { try object($0)["expiresIn"] as? Int } ?? nil
                }
                #expect(expected.contains(try #require(seconds)))
            }
            _ = try await bench.redis.send(["HSET", JobStore.key(job.id), "expires", "1"])
            #expect(await httpError { try await DownloadURL().handle(get, bench.context()) }?.status == .gone)
            _ = try await bench.redis.send(["HSET", JobStore.key(job.id), "status", "failed"])
            let failed = await httpError { try await DownloadURL().handle(get, bench.context()) }
            #expect(failed?.status == .conflict)
            #expect(failed?.headers[.retryAfter] == nil)
        }
    }

    @Test func processProgressAndCompleteWorkTogether() async throws {
        try await DownloadBench.with { bench in
            bench.objects.add(70_000)
            let job = try await bench.accept([70_000])
            let outcome = try await ProcessDownload().process(bench.job(job), bench.context())
            let result = QueueEvent(
                kind: .completed, queue: DownloadTask.queue, jobID: job.id.description, data: try JSON.text(outcome))
            let before = try await bench.record(job.id)
            try await CompleteDownload().handle(result, bench.context())
            #expect(try await bench.record(job.id) == before)
            let failed = QueueEvent(
                kind: .failed, queue: DownloadTask.queue, jobID: job.id.description, data: "job stalled")
            try await FailDownload().handle(failed, bench.context())
            #expect(try await bench.record(job.id) == before)
            for data in ["42", "{}", "null", "nonsense"] {
                let progress = QueueEvent(
                    kind: .progress, queue: DownloadTask.queue, jobID: job.id.description, data: data)
                try await RecordProgress().handle(progress, bench.context())
                let strange = QueueEvent(
                    kind: .completed, queue: DownloadTask.queue, jobID: job.id.description, data: data)
                try await CompleteDownload().handle(strange, bench.context())
            }
            #expect(try await bench.record(job.id) == before)
        }
    }

    @Test func theConsoleIsAPageForBrowsersAndJSONForOthers() async throws {
        let context = Context(
            logger: Logger(label: "test"), function: "console", requestID: "r", deadline: .now + .seconds(1),
            bindings: Bindings())
        func get(_ accept: String?) async throws -> Response {
            let headers: HTTPFields = accept.map { [.accept: $0] } ?? [:]
            return try await Console().handle(Request(method: .get, path: "/", headers: headers), context)
        }
        for accept in [nil, "*/*", "application/json"] {
            let json = try await get(accept)
            #expect(Set(try object(json).keys) == ["message", "version", "docs"])
            #expect(json.headers[.vary] == "Accept")
        }
        let page = try await get("application/xhtml+xml, text/html;q=0.9, */*;q=0.8")
        let html = String(buffer: page.body)
        #expect(page.headers[.contentType]?.hasPrefix("text/html") == true)
        let policy = try #require(page.headers[.contentSecurityPolicy])
        let nonce = try #require(policy.firstMatch(of: /script-src 'nonce-([a-z0-9]+)'/)?.1)
        #expect(html.contains("<script nonce=\"\(nonce)\">"))
        #expect(html.contains("<style nonce=\"\(nonce)\">"))
        #expect(!policy.contains("unsafe"))
        // Nothing that the policy would refuse.
        #expect(!html.contains(" style=\"") && html.firstMatch(of: #/ on[a-z]+=/#) == nil)
        #expect(try await get("text/html").headers[.contentSecurityPolicy] != policy)
    }
}
