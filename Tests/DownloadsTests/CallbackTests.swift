import FunctionKit
import RedisClient
import Synchronization
import Testing

@testable import Downloads
@testable import callback
@testable import cancel
@testable import initiate
@testable import status

/// The ends of jobs are told, each once, within bounds, also when Redis forgets them.
@Suite struct CallbackTests {
    private func accept(_ bench: DownloadBench) async throws -> JobRecord {
        let text = #"{"file_ids":[70000],"callback_url":"https://receiver.example/hook?key=k"}"#
        let response = try await Initiate().handle(.post(text), bench.context())
        let id = try #require(JobID(try object(response)["jobId"] as? String ?? ""))
        return try await bench.record(id)
    }

    /// Works the job and handles the queue's event, as the host does.
    private func work(_ job: JobRecord, _ bench: DownloadBench) async throws {
        let outcome = try await DownloadWorker(bench.context()).work(bench.job(job))
        try await JobEvents(bench.context()).complete(outcome, of: job.id.description)
    }

    private func ready(_ bench: DownloadBench) async throws -> JobRecord {
        bench.objects.add(70_000)
        let job = try await accept(bench)
        try await work(job, bench)
        return try await bench.record(job.id)
    }

    private func deliver(
        _ job: JobRecord, _ bench: DownloadBench, _ status: JobStatus = .ready, round: Int = 1
    ) async throws -> CallbackOutcome {
        let event = try #require(CallbackEvent(jobID: job.id.description, round: round, status: status))
        let queued = QueueJob(
            id: event.id, name: "callback", queue: CallbackTask.queue, payload: CallbackTask(event, requestID: "r"),
            attempt: 1, maxAttempts: 3, addedAt: .now)
        return try await DeliverCallback().process(queued, bench.context())
    }

    private func shown(_ job: JobRecord, _ bench: DownloadBench) async throws -> [String: Any] {
        let answer = try await Status().handle(.get(job.id.description), bench.context())
        return try #require(try object(answer)["callback"] as? [String: Any])
    }

    private func look(
        _ bench: DownloadBench, after time: Duration = .seconds(40)
    ) async throws -> ReconcileReport {
        try #require(try await Reconciler(bench.context()).look(as: "a", at: .now + time))
    }

    private func waiting(_ bench: DownloadBench) -> [String] {
        bench.queue.jobs.withLock { $0.filter { $0.key.contains("-ready") && $0.value.state == .waiting }.map(\.key) }
    }

    @Test func `a job that is ready is told once, signed off in the history and shown`() async throws {
        try await DownloadBench.with { bench in
            let job = try await ready(bench)
            let id = "\(job.id)-1-ready"
            #expect(waiting(bench) == [id])
            #expect(bench.queue.added.withLock { $0.last?.options.attempts } == 10)
            #expect(try await shown(job, bench)["status"] as? String == "pending")
            #expect(try await deliver(job, bench) == CallbackOutcome(status: "delivered", answer: 200))
            #expect(try await deliver(job, bench) == CallbackOutcome(status: "delivered", answer: 200))
            let sent = bench.webhooks.sent.withLock { $0 }
            #expect(sent.map(\.id) == [id] && sent.map(\.attempt) == [1])
            #expect(sent.first?.url == "https://receiver.example/hook?key=k")
            let body = try object(String(buffer: try #require(sent.first).body))
            #expect(
                Set(body.keys) == [
                    "id", "type", "jobId", "timestamp", "job", "downloadUrl", "expiresIn", "fileSize", "bucket",
                    "checksum",
                ])
            #expect(body["type"] as? String == "ready" && body["id"] as? String == id)
            let inner = try #require(body["job"] as? [String: Any])
            #expect(inner["status"] as? String == "ready" && inner["seq"] as? Int64 == job.seq)
            #expect(inner["owner"] == nil && inner["callback"] == nil)
            let seen = try await shown(job, bench)
            #expect(Set(seen.keys) == ["url", "status", "attempts", "lastStatus", "lastError", "deliveredAt"])
            #expect(seen["status"] as? String == "delivered" && seen["attempts"] as? Int == 1)
            #expect(seen["lastStatus"] as? Int == 200 && seen["deliveredAt"] is String)
            // The same event once more queues nothing that is sent.
            try await JobEvents(bench.context()).complete(
                DownloadOutcome(try await bench.row(job.id)), of: job.id.description)
            #expect(bench.queue.added.withLock { $0.count { $0.options.id == id } } == 1)
        }
    }

    @Test func `a job without a callback shows and queues none`() async throws {
        try await DownloadBench.with { bench in
            bench.objects.add(70_000)
            let job = try await bench.accept([70_000])
            try await work(job, bench)
            #expect(waiting(bench).isEmpty)
            let answer = try await Status().handle(.get(job.id.description), bench.context())
            #expect(try object(answer)["callback"] == nil)
            #expect(try await look(bench).isEmpty)
        }
    }

    @Test func `failed attempts wait longer and longer, and end`() async throws {
        try await DownloadBench.with { bench in
            var bench = bench
            bench.callbacks.attempts = 4
            let job = try await ready(bench)
            let answers: [Result<WebhookAnswer, WebhookFailure>] = [
                .success(WebhookAnswer(status: 500)), .failure(WebhookFailure(.unreachable, "10.0.0.7")),
                .success(WebhookAnswer(status: 429, retryAfter: .seconds(90))),
                .success(WebhookAnswer(status: 302, retryAfter: .seconds(90))),
            ]
            let expected: [(ClosedRange<Duration>?, String)] = [
                (.seconds(8)...(.seconds(10)), "The receiver answered 500."),
                (.seconds(16)...(.seconds(20)), "The receiver could not be reached."),
                (.seconds(90)...(.seconds(90)), "The receiver answered 429."), (nil, "The receiver answered 302."),
            ]
            var tags: Set<String> = []
            for (answer, (delay, text)) in zip(answers, expected) {
                bench.webhooks.answer.withLock { $0 = { _ in answer } }
                let error = await #expect(throws: (any Error).self) { try await deliver(job, bench) }
                if let delay {
                    #expect(delay.contains(try #require(error as? RetryAfter).delay))
                } else {
                    #expect(error is Permanent)
                }
                let seen = try await shown(job, bench)
                #expect(seen["lastError"] as? String == text)
                #expect(seen["status"] as? String == (delay == nil ? "failed" : "pending"))
                let head = try await Status().handle(.get(job.id.description), bench.context()).headers
                tags.insert(try #require(head[.eTag]))
            }
            #expect(tags.count == 4)
            #expect(try await deliver(job, bench).status == "failed")
            #expect(bench.webhooks.sent.withLock { $0.map(\.attempt) } == [1, 2, 3, 4])
            #expect(try await look(bench, after: .seconds(10_000)).isEmpty)
        }
    }

    @Test(arguments: [
        Result<WebhookAnswer, WebhookFailure>.success(WebhookAnswer(status: 410)),
        .failure(WebhookFailure(.refused, "localhost leads to 127.0.0.1")),
    ])
    func `gone and refused end at once`(_ answer: Result<WebhookAnswer, WebhookFailure>) async throws {
        try await DownloadBench.with { bench in
            let job = try await ready(bench)
            bench.webhooks.answer.withLock { $0 = { _ in answer } }
            await #expect(throws: Permanent.self) { try await deliver(job, bench) }
            let seen = try await shown(job, bench)
            #expect(seen["status"] as? String == "failed" && seen["attempts"] as? Int == 1)
            #expect((seen["lastError"] as? String)?.contains("127.0.0.1") == false)
        }
    }

    @Test func `what Redis forgets is queued again with the attempts that are left`() async throws {
        try await DownloadBench.with { bench in
            let job = try await ready(bench)
            bench.webhooks.answer.withLock { $0 = { _ in .success(WebhookAnswer(status: 500)) } }
            await #expect(throws: RetryAfter.self) { try await deliver(job, bench) }
            _ = try await bench.redis.send(["FLUSHALL"])
            bench.queue.jobs.withLock { $0 = [:] }
            // It is not looked for before it should have been tried.
            #expect(try await look(bench, after: .seconds(6)).isEmpty)
            #expect(try await look(bench).raisedCallbacks == 1)
            #expect(waiting(bench) == ["\(job.id)-1-ready"])
            #expect(bench.queue.added.withLock { $0.last?.options.attempts } == 9)
            #expect(try await look(bench).isEmpty)
            bench.webhooks.answer.withLock { $0 = { _ in .success(WebhookAnswer(status: 204)) } }
            #expect(try await deliver(job, bench).answer == 204)
            bench.queue.jobs.withLock { $0 = [:] }
            #expect(try await look(bench, after: .seconds(10_000)).isEmpty)
            #expect(bench.webhooks.sent.withLock { $0.map(\.attempt) } == [1, 2])
        }
    }

    @Test func `a callback whose workers die at every attempt is given up`() async throws {
        try await DownloadBench.with { bench in
            var bench = bench
            bench.callbacks.attempts = 3
            let job = try await ready(bench)
            for number in 1...3 {
                bench.webhooks.answer.withLock { $0 = { _ in throw CancellationError() } }
                await #expect(throws: CancellationError.self) { try await deliver(job, bench) }
                bench.queue.jobs.withLock { $0 = [:] }
                let report = try await look(bench)
                #expect((report.raisedCallbacks, report.failedCallbacks) == (number < 3 ? (1, 0) : (0, 1)))
            }
            let seen = try await shown(job, bench)
            #expect(seen["status"] as? String == "failed" && seen["attempts"] as? Int == 3)
            #expect(try await look(bench).isEmpty)
        }
    }

    @Test func `a job that has gone on is told of as it is`() async throws {
        try await DownloadBench.with { bench in
            let job = try await ready(bench)
            let answer = try await Cancel().handle(.get(job.id.description), bench.context())
            #expect(answer.status == .accepted)
            #expect(bench.queue.added.withLock { $0.last?.options.id } == "\(job.id)-1-expired")
            #expect(try await deliver(job, bench) == .overtaken)
            #expect(try await deliver(job, bench, .expired).status == "delivered")
            let body = try object(String(buffer: try #require(bench.webhooks.sent.withLock { $0.last }).body))
            #expect(body["type"] as? String == "expired" && body["downloadUrl"] == nil)
            _ = try await JobRetry(bench.context()).retry(job.id)
            #expect(try await shown(job, bench)["status"] as? String == "pending")
            try await work(try await bench.record(job.id), bench)
            #expect(try await deliver(job, bench, round: 2).status == "delivered")
            #expect(bench.webhooks.sent.withLock { $0.map(\.id) } == ["\(job.id)-1-expired", "\(job.id)-2-ready"])
        }
    }

    @Test func `a cancelled job and a failed one are told of`() async throws {
        try await DownloadBench.with { bench in
            let job = try await accept(bench)
            _ = try await Cancel().handle(.get(job.id.description), bench.context())
            #expect(try await deliver(job, bench, .cancelled).status == "delivered")
            let other = try await accept(bench)
            try await JobEvents(bench.context()).fail("job stalled", of: other.id.description, at: .now)
            #expect(bench.queue.added.withLock { $0.last?.options.id } == "\(other.id)-1-failed")
            #expect(try await deliver(other, bench, .failed).status == "delivered")
        }
    }

    @Test func `an expiry that the sweep finds is told of`() async throws {
        try await DownloadBench.with { bench in
            let job = try await ready(bench)
            _ = try await deliver(job, bench)
            _ = try await Sweeper(bench.context()).sweep(at: .now + .seconds(604_801))
            #expect(bench.queue.added.withLock { $0.last?.options.id } == "\(job.id)-1-expired")
        }
    }

    @Test func `data that names another job is refused`() async throws {
        try await DownloadBench.with { bench in
            let job = try await ready(bench)
            let event = try #require(CallbackEvent(jobID: job.id.description, round: 1, status: .ready))
            let queued = QueueJob(
                id: "other", name: "callback", queue: CallbackTask.queue, payload: CallbackTask(event, requestID: "r"),
                attempt: 1, maxAttempts: 3, addedAt: .now)
            await #expect(throws: Permanent.self) { try await DeliverCallback().process(queued, bench.context()) }
            #expect(bench.webhooks.sent.withLock { $0.isEmpty })
        }
    }

    @Test(arguments: [#"7"#, #""http://receiver.example/""#, #"null"#])
    func `a URL that cannot be used is refused by name`(_ url: String) async throws {
        try await DownloadBench.with { bench in
            let error = await httpError {
                try await Initiate().handle(
                    .post(#"{"file_ids":[70000],"callback_url":\#(url)}"#), bench.context())
            }
            #expect(error?.status == .badRequest && error?.details.map(\.field) == ["callback_url"])
            let none = await httpError {
                try DownloadRequest(
                    .post(#"{"file_ids":[70000],"callback_url":"https://receiver.example/"}"#), defaultPolicy: .skip)
            }
            #expect(none?.details.first?.problem.contains("callbacks.secret") == true)
        }
    }

    @Test func `a key's digest tells callbacks apart and is as before without one`() throws {
        func digest(_ rest: String) throws -> String {
            try DownloadRequest(
                .post(#"{"file_ids":[70000]\#(rest)}"#), defaultPolicy: .skip, webhooks: NotingWebhooks()
            ).digest
        }
        #expect(try digest("") == SHA256.hex(of: "[[70000],null,null]".utf8))
        let some = try digest(#","callback_url":"https://a.example/""#)
        #expect(try some != digest("") && some != digest(#","callback_url":"https://b.example/""#))
    }

    @Test func `delays double up to the longest, and a receiver's wish has bounds`() {
        var settings = CallbacksConfiguration()
        settings.retryMaxDelay = .seconds(60)
        let delays = (1...5).map { settings.delay(after: $0, wanted: nil, jitter: 0) }
        #expect(delays == [.seconds(10), .seconds(20), .seconds(40), .seconds(60), .seconds(60)])
        #expect(settings.delay(after: 1, wanted: nil, jitter: 1) == .seconds(8))
        #expect(settings.delay(after: 1, wanted: .seconds(86_400), jitter: 1) == .seconds(60))
        #expect(settings.delay(after: 4, wanted: .zero, jitter: 1) == .seconds(1))
        #expect(settings.delay(after: .max, wanted: nil, jitter: 0) == .seconds(60))
    }
}
