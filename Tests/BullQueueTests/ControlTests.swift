import FunctionKit
import RedisClient
import Testing

@testable import BullQueue

/// Queues by hand, where there is more to say than that the peer leaves the same.
@Suite(.serialized) struct ControlTests {
    private func add(_ fixture: Fixture, _ count: Int, _ options: BullJobOptions = .init()) async throws {
        let jobs = (0..<count).map { BullProducer.NewJob("a", data: "{\"n\":\($0)}", options: options) }
        _ = try await fixture.producer().add(jobs)
    }

    @Test func `queues are found by their prefix alone`() async throws {
        try await Fixture.with { fixture in
            for (prefix, queue) in [("bull", "one"), ("bull", "two"), ("b*", "star"), ("bxx", "three")] {
                let producer = try BullProducer(queue: queue, prefix: prefix, client: fixture.client)
                _ = try await producer.add("a", data: "{}", options: JobOptions())
            }
            _ = try await fixture.call("SET", "bull:x:y:meta", "no queue")
            for index in 0..<3000 { _ = try await fixture.call("SET", "other:\(index)", "") }
            #expect(try await BullQueueControl.queues(client: fixture.client) == ["one", "two"])
            #expect(try await BullQueueControl.queues(prefix: "b*", client: fixture.client) == ["star"])
            #expect(try await BullQueueControl.queues(prefix: "none", client: fixture.client).isEmpty)
        }
    }

    @Test func `counts, settings and hazards are read`() async throws {
        try await Fixture.with { fixture in
            let control = try fixture.control()
            #expect(try await !control.exists())
            try await add(fixture, 2)
            try await add(fixture, 3, BullJobOptions(priority: 4))
            try await add(fixture, 1, BullJobOptions(delayMs: 60_000))
            try await control.setGlobalConcurrency(5)
            try await control.setGlobalRateLimit(BullRateLimit(count: 7, window: .seconds(2)))
            var counts = try await control.counts()
            #expect(try await control.exists())
            #expect([counts[.waiting], counts[.prioritized], counts[.delayed], counts[.failed]] == [2, 3, 1, 0])
            #expect(counts.globalConcurrency == 5)
            #expect(counts.globalRateLimit == BullRateLimit(count: 7, window: .seconds(2)))
            #expect(!counts.isPaused && counts.hazards.isEmpty && counts.version == nil)
            #expect(try await control.counts(ofPriorities: [0, 3, 4]) == [0: 2, 3: 0, 4: 3])

            try await control.announceVersion()
            #expect(try await control.counts().version == BullQueueControl.version)
            try await fixture.call("HSET", "bull:q:meta", "version", "bullmq:5.81.3", "paused", "1")
            try await control.announceVersion()
            try await fixture.call("RENAME", "bull:q:wait", "bull:q:paused")
            counts = try await control.counts()
            #expect(counts.isPaused && counts[.paused] == 2 && counts[.waiting] == 0)
            #expect(counts.version == "bullmq:5.81.3")
            #expect(counts.hazards.count == 2)
        }
    }

    @Test func `bad settings are refused`() async throws {
        try await Fixture.with { fixture in
            let control = try fixture.control()
            await #expect(throws: BullError(.invalidOption, "")) { try await control.setGlobalConcurrency(0) }
            await #expect(throws: BullError(.invalidOption, "")) {
                try await control.setGlobalRateLimit(BullRateLimit(count: 1, window: .zero))
            }
            await #expect(throws: BullError(.invalidOption, "")) { try await control.changePriority(of: "1", to: -1) }
            await #expect(throws: BullError(.invalidOption, "")) {
                try await control.changeDelay(of: "1", to: .seconds(-1))
            }
            #expect(try await fixture.strings("KEYS", "*").isEmpty)
        }
    }

    @Test func `pages go from the next to the last, or from the newest`() async throws {
        try await Fixture.with { fixture in
            let control = try fixture.control()
            try await add(fixture, 5)
            try await add(fixture, 1, BullJobOptions(priority: 9))
            try await add(fixture, 1, BullJobOptions(priority: 2))
            try await add(fixture, 1, BullJobOptions(delayMs: 90_000))
            try await add(fixture, 1, BullJobOptions(delayMs: 60_000))
            #expect(try await control.ids(in: .waiting, count: 2) == ["1", "2"])
            #expect(try await control.ids(in: .waiting, offset: 3, count: 9) == ["4", "5"])
            #expect(try await control.ids(in: .waiting, offset: 5, count: 9).isEmpty)
            #expect(try await control.ids(in: .waiting, offset: 1, count: 2, newestFirst: true) == ["4", "3"])
            #expect(try await control.ids(in: .prioritized, count: 9) == ["7", "6"])
            #expect(try await control.ids(in: .delayed, count: 9) == ["9", "8"])
            #expect(try await control.ids(in: .delayed, count: 1, newestFirst: true) == ["8"])
            #expect(try await control.ids(in: .unknown, count: 9).isEmpty)
            #expect(try await control.jobs(in: .waiting, offset: 4, count: 1).map(\.data) == ["{\"n\":4}"])
            #expect(
                try await control.states(of: ["1", "6", "8", "none"]) == [.waiting, .prioritized, .delayed, .unknown])
        }
    }

    @Test func `one job is shown with its state, log and lock`() async throws {
        try await Fixture.with { fixture in
            let control = try fixture.control()
            try await add(fixture, 1, BullJobOptions(attempts: 3))
            try await add(fixture, 1, BullJobOptions(delayMs: 60_000))
            for line in ["one", "two", "three"] { try await control.addLog(line, to: "1", keep: 2) }
            let delayed = try #require(try await control.detail(of: "2"))
            #expect(delayed.state == .delayed)
            #expect(delayed.dueAt == delayed.job.addedAt.map { $0 + .seconds(60) })
            let worker = try fixture.worker { job, _ in
                let held = try? await control.detail(of: job.id)
                #expect(held?.state == .active)
                #expect(held?.lockToken == job.token)
                #expect((held?.lockRemaining ?? .zero) > .seconds(1))
                #expect((try? await control.remove([job.id]))?.first?.result == .held)
                return .failed(reason: "no \u{2603}", retry: .never)
            }
            try await fixture.running(worker) {
                try await eventually("the job has failed") { try await fixture.count("failed") == 1 }
            }
            let detail = try #require(try await control.detail(of: "1"))
            #expect(detail.state == .failed && detail.lockToken == nil && detail.lockRemaining == nil)
            #expect(detail.log == ["two", "three"] && detail.logCount == 2)
            #expect(detail.job.failedReason == "no \u{2603}" && detail.job.maxAttempts == 3)
            #expect(detail.job.attemptsMade == 1 && detail.job.attemptsStarted == 1 && detail.job.defects.isEmpty)
            #expect(try await control.detail(of: "3") == nil)
            #expect(try await control.finished("1")?.value == "no \u{2603}")
            #expect(try await control.finished("2") == nil)
            await #expect(throws: BullError(.jobMissing, "")) { _ = try await control.finished("3") }
        }
    }

    @Test func `numbers of ended jobs are read where workers count them`() async throws {
        try await Fixture.with { fixture in
            let control = try fixture.control()
            #expect(try await control.metrics(succeeded: true).total == 0)
            try await fixture.call("HSET", "bull:q:metrics:completed", "count", "12", "prevTS", "1", "prevCount", "5")
            try await fixture.call("RPUSH", "bull:q:metrics:completed:data", "5", "0", "7")
            let metrics = try await control.metrics(succeeded: true)
            #expect(metrics.total == 12 && metrics.minutes == [5, 0, 7])
            try await fixture.call("HSET", "bull:q:9", "name", "a", "returnvalue", "{\"ok\":1}")
            try await fixture.call("ZADD", "bull:q:completed", "1", "9")
            let end = try #require(try await control.finished("9"))
            #expect(end.succeeded && end.value == "{\"ok\":1}")
        }
    }

    @Test func `only jobs of the state that is meant are cleaned by their ids`() async throws {
        try await Fixture.with { fixture in
            let control = try fixture.control()
            try await add(fixture, 3)
            for id in ["1", "2"] {
                try await fixture.call("LREM", "bull:q:wait", "0", id)
                try await fixture.call("ZADD", "bull:q:failed", "1", id)
            }
            try await fixture.call("SET", "bull:q:2:lock", "t")
            let changes = try await control.clean(["1", "2", "3", "none"], in: .failed)
            #expect(changes.map(\.result) == [.done, .held, .wrongState, .missing])
            #expect(try await fixture.strings("KEYS", "bull:q:[0-9]").sorted() == ["bull:q:2", "bull:q:3"])
        }
    }

    @Test func `odd jobs are shown with what is wrong with them`() async throws {
        try await Fixture.with { fixture in
            let control = try fixture.control()
            try await fixture.call("HSET", "bull:q:a", "data", "{oops", "opts", "[]", "timestamp", "1500.5")
            try await fixture.call("SET", "bull:q:text", "no hash")
            try await fixture.call("RPUSH", "bull:q:wait", "a", "text", "ghost")
            let jobs = try await control.jobs(in: .waiting, count: 9)
            #expect(jobs.map(\.id) == ["ghost", "text", "a"])
            #expect(jobs.map(\.exists) == [false, false, true])
            #expect(jobs[2].addedAt == Timestamp(milliseconds: 1500))
            #expect(
                jobs[2].defects
                    == ["the name is missing", "the data is not JSON", "the options are not a JSON object"])
            #expect(try await control.detail(of: "ghost")?.state == .waiting)
            #expect(try await control.drain().sorted() == ["a", "ghost", "text"])
            #expect(try await fixture.counts("wait") == [0])
        }
    }

    @Test(arguments: [
        "wait", "meta", "id", "events", "repeat", "repeat:s", "metrics:completed", "dn:k", "de:k", "p:processed",
        "p:failed",
        "p:logs", "p:lock", "p:dependencies", "", "none",
    ])
    func `no operation takes one of the queue's own keys for a job`(id: String) async throws {
        try await Fixture.with { fixture in
            let control = try fixture.control()
            try await add(fixture, 1)
            _ = try await fixture.producer().add("a", data: "{}", options: JobOptions(id: "p"))
            try await fixture.call("ZADD", "bull:q:repeat", "2000000000000", "s")
            for name in ["repeat:s", "metrics:completed", "dn:k", "p:processed", "p:failed"] {
                try await fixture.call("HSET", "bull:q:\(name)", "name", "x", "data", "{}")
            }
            try await fixture.call("SET", "bull:q:de:k", "1")
            try await fixture.call("SET", "bull:q:p:lock", "t", "PX", "60000")
            try await fixture.call("RPUSH", "bull:q:p:logs", "x")
            try await fixture.call("SADD", "bull:q:p:dependencies", "bull:q:1")
            let before = try await fixture.dumps()
            #expect(try await control.remove([id]).map(\.result) == [.missing])
            #expect(try await control.retry([id]).map(\.result) == [.missing])
            #expect(try await control.promote([id]).map(\.result) == [.wrongState])
            await #expect(throws: BullError(.jobMissing, "")) { try await control.updateData(of: id, to: "{}") }
            await #expect(throws: BullError(.jobMissing, "")) { try await control.addLog("x", to: id) }
            await #expect(throws: BullError(.jobMissing, "")) { try await control.changePriority(of: id, to: 1) }
            #expect(try await control.detail(of: id) == nil || id.hasPrefix("p:") || id == "repeat:s")
            #expect(try await fixture.dumps() == before)
        }
    }

    @Test func `ids with a colon are ids like any other`() async throws {
        try await Fixture.with { fixture in
            let control = try fixture.control()
            for id in ["a:b", "x:y:z", "p:processed"] {
                try await fixture.call("HSET", "bull:q:\(id)", "name", "n", "data", "1", "opts", "{}", "timestamp", "1")
                try await fixture.call("LPUSH", "bull:q:wait", id)
            }
            try await control.updateData(of: "p:processed", to: "[2]")
            #expect(try await control.jobs(in: .waiting, count: 9).map(\.data) == ["1", "1", "[2]"])
            #expect(try await control.remove(["a:b", "x:y:z", "p:processed"]).allSatisfy { $0.result == .done })
            #expect(try await fixture.counts("wait") == [0])
        }
    }

    @Test func `a drain of thousands leaves exactly what schedulers have planned`() async throws {
        try await Fixture.with { fixture in
            let control = try fixture.control()
            try await add(fixture, 2300)
            try await add(fixture, 40, BullJobOptions(priority: 3))
            try await add(fixture, 30, BullJobOptions(delayMs: 60_000))
            // Planned jobs at the head, in the midst and at the end of those that wait.
            for (index, command) in ["RPUSH", "LINSERT", "LPUSH"].enumerated() {
                let id = "repeat:s\(index):2000000000000"
                try await fixture.call("ZADD", "bull:q:repeat", "2000000000000", "s\(index)")
                try await fixture.call("HSET", "bull:q:\(id)", "name", "a", "rjk", "s\(index)")
                if command == "LINSERT" {
                    try await fixture.call(command, "bull:q:wait", "BEFORE", "1200", id)
                } else {
                    try await fixture.call(command, "bull:q:wait", id)
                }
            }
            let removed = try await control.drain()
            #expect(removed.count == 2340 && Set(removed).count == 2340)
            #expect(try await fixture.counts("wait", "prioritized", "delayed") == [3, 0, 30])
            #expect(try await control.drain(includesDelayed: true).count == 30)
            #expect(try await control.ids(in: .waiting, count: 9) == (0...2).map { "repeat:s\($0):2000000000000" })
            #expect(try await control.remove(["repeat:s1:2000000000000"])[0].result == .planned)
            #expect(try await fixture.strings("KEYS", "bull:q:[0-9]*").isEmpty)
        }
    }

    @Test func `a parent in another queue goes on when its last child is drained`() async throws {
        try await Fixture.with { fixture in
            try await fixture.call("HSET", "bull:up:p", "name", "n", "data", "{}", "opts", "{}", "timestamp", "1")
            try await fixture.call("ZADD", "bull:up:waiting-children", "1", "p")
            try await fixture.call("SADD", "bull:up:p:dependencies", "bull:q:c")
            try await fixture.call(
                "HSET", "bull:q:c", "name", "n", "data", "{}", "opts", "{}", "timestamp", "1", "parentKey", "bull:up:p",
                "parent", #"{"id":"p","queueKey":"bull:up"}"#)
            try await fixture.call("LPUSH", "bull:q:wait", "c")
            #expect(try await fixture.control().drain() == ["c"])
            #expect(try await fixture.strings("LRANGE", "bull:up:wait", "0", "-1") == ["p"])
        }
    }

    @Test func `cleaning keeps to its limit and to the age`() async throws {
        try await Fixture.with { fixture in
            let control = try fixture.control()
            try await add(fixture, 2500)
            for id in 1...2500 where id % 5 != 0 {
                try await fixture.call("HSET", "bull:q:\(id)", "timestamp", "1000")
            }
            #expect(try await control.clean(.waiting, olderThan: .seconds(60), limit: 700).count == 700)
            #expect(try await control.clean(.waiting, olderThan: .seconds(60)).count == 1300)
            #expect(try await control.clean(.waiting, olderThan: .seconds(60)).isEmpty)
            #expect(try await fixture.counts("wait") == [500])
            #expect(
                try await fixture.events().filter { $0.hasPrefix("cleaned") }
                    == ["cleaned count 700", "cleaned count 1300", "cleaned count 0"])
        }
    }

    @Test func `obliteration leaves no key`() async throws {
        try await Fixture.with { fixture in
            let control = try fixture.control()
            try await add(fixture, 2500)
            for id in ["1", "2"] { try await control.addLog("x", to: id) }
            try await fixture.call("SET", "bull:q:limiter", "1")
            try await fixture.call("LMOVE", "bull:q:wait", "bull:q:active", "RIGHT", "LEFT")
            try await fixture.call("SET", "bull:q:1:lock", "t")
            await #expect(throws: BullError(.wrongState, "")) { try await control.obliterate() }
            #expect(try await control.counts().isPaused)
            try await control.obliterate(force: true)
            #expect(try await fixture.strings("KEYS", "*").isEmpty)
        }
    }

    @Test func `jobs that version 5 put aside come back before later ones, in steps`() async throws {
        try await Fixture.with { fixture in
            let control = try fixture.control()
            try await add(fixture, 15_000)
            try await fixture.call("RENAME", "bull:q:wait", "bull:q:paused")
            try await fixture.call("HSET", "bull:q:meta", "paused", "1")
            try await add(fixture, 1)
            try await control.resume()
            let ids = try await fixture.strings("LRANGE", "bull:q:wait", "0", "-1")
            #expect(ids == (1...15_001).reversed().map { "\($0)" })
            #expect(try await fixture.events().count { $0 == "resumed" } == 1)
        }
    }

    @Test func `a retried dead letter counts from zero and is worked again`() async throws {
        try await Fixture.with { fixture in
            let control = try fixture.control()
            try await add(fixture, 1, BullJobOptions(attempts: 2))
            let seen = Record<String>()
            let worker = try fixture.worker { job, _ in
                seen.append("\(job.attempt) \(job.stalledCount) \(job.data)")
                return job.data == "{\"good\":1}" ? .completed("1") : .failed(reason: "bad")
            }
            try await fixture.running(worker) {
                try await eventually("failed") { try await fixture.count("failed") == 1 }
                try await fixture.call("HSET", "bull:q:1", "stc", "1")
                await #expect(throws: BullError(.invalidJSON, "")) { try await control.updateData(of: "1", to: "{") }
                await #expect(throws: BullError(.wrongState, "")) {
                    try await control.updateData(of: "1", to: "{}", in: .completed)
                }
                try await control.updateData(of: "1", to: "{\"good\":1}", in: .failed)
                #expect(try await control.retryAll(resetsAttempts: true) == 1)
                try await eventually("completed") { try await fixture.count("completed") == 1 }
            }
            #expect(seen.all == ["1 0 {\"n\":0}", "2 0 {\"n\":0}", "1 0 {\"good\":1}"])
        }
    }
}

extension Fixture {
    /// Every key with its contents in the server's own form.
    func dumps() async throws -> [String: RESPValue] {
        var all: [String: RESPValue] = [:]
        for key in try await strings("KEYS", "*") where key != "bull:q:meta" { all[key] = try await call("DUMP", key) }
        return all
    }
}
