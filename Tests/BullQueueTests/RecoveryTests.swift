import FunctionKit
import RedisClient
import Testing

@testable import BullQueue

/// What is done about workers that are gone, and with the jobs that they left.
@Suite(.serialized) struct RecoveryTests {
    private func recovery(_ fixture: Fixture, limit: Int = 1) throws -> BullRecovery {
        try BullRecovery(queue: Fixture.queue, maxStalledCount: limit, gate: .milliseconds(1), client: fixture.client)
    }

    /// Takes jobs as a worker does that is gone then.
    private func take(_ fixture: Fixture, _ count: Int, by token: String) async throws {
        let reply = try await fixture.client.evaluate(
            BullScripts.fetchJobs, keys: ["bull:q:"], arguments: ["1000", "\(count)", token, "60000", "", "", "", ""])
        #expect(reply.array?.first?.array?.count == count)
    }

    /// All that there is of the queue, times of the server aside.
    private func dump(_ fixture: Fixture) async throws -> [String] {
        var lines: [String] = []
        for key in try await fixture.strings("KEYS", "bull:q:*").sorted() {
            switch try await fixture.call("TYPE", key).string {
            case "list": lines.append("\(key) \(try await fixture.strings("LRANGE", key, "0", "-1"))")
            case "zset": lines.append("\(key) \(try await fixture.strings("ZRANGE", key, "0", "-1", "WITHSCORES"))")
            case "set": lines.append("\(key) \(try await fixture.strings("SMEMBERS", key).sorted())")
            case "hash":
                let flat = try await fixture.strings("HGETALL", key)
                let pairs = stride(from: 0, to: flat.count, by: 2).map { "\(flat[$0])=\(flat[$0 + 1])" }
                lines.append("\(key) \(pairs.filter { !$0.hasPrefix("timestamp=") }.sorted())")
            case "stream": lines.append("\(key) \(try await fixture.events())")
            default: lines.append("\(key) \(try await fixture.call("GET", key).string ?? "")")
            }
        }
        return lines
    }

    @Test(arguments: [0, 1, 2])
    func `what a lost worker leaves is what a stalled check leaves`(limit: Int) async throws {
        var dumps: [[String]] = []
        for isKnown in [true, false] {
            try await Fixture.with { fixture in
                let producer = try fixture.producer()
                _ = try await producer.add("n", data: "1", options: .init())
                _ = try await producer.add("n", data: "2", options: .init(priority: 3))
                _ = try await producer.add("n", data: "3", options: .init(attempts: 2))
                try await fixture.call("HSET", "bull:q:3", "stc", "1")
                try await take(fixture, 3, by: "w:1")
                try await fixture.call("DEL", "bull:q:marker")
                let recovery = try recovery(fixture, limit: limit)
                // A check marks them; nothing has lapsed yet.
                #expect(try await recovery.giveBackStalled() == [])
                let ids: [String]
                if isKnown {
                    ids = try await recovery.giveBackJobs(ofLost: "w")
                } else {
                    for id in 1...3 { try await fixture.call("DEL", "bull:q:\(id):lock") }
                    try await eventually("the gate is open") {
                        try await fixture.call("EXISTS", "bull:q:stalled-check").integer == 0
                    }
                    ids = try await recovery.giveBackStalled()
                }
                #expect(Set(ids) == ["1", "2", "3"])
                var lines = try await dump(fixture).filter { !$0.contains("stalled-check") }
                // A check goes through a set, whose order is nobody's.
                lines = lines.map { line in
                    line.hasPrefix("bull:q:wait ") || line.hasPrefix("bull:q:events ")
                        ? String(line.sorted()) : line
                }
                dumps.append(lines)
                #expect(try await fixture.hash("3")["stc"] == "2")
                #expect((try await fixture.hash("3")["defa"] != nil) == (limit < 2))
                #expect((try await fixture.hash("1")["defa"] != nil) == (limit < 1))
                #expect(try await fixture.counts("wait", "active", "prioritized", "marker") == [3, 0, 0, 1])
                #expect(try await fixture.call("EXISTS", "bull:q:1:lock", "bull:q:stalled").integer == 0)
            }
        }
        #expect(dumps[0] == dumps[1])
    }

    @Test func `the first that was started is the first again, and each is told of`() async throws {
        try await Fixture.with { fixture in
            _ = try await fixture.producer().add((0..<3).map { .init("n", data: "\($0)") })
            try await take(fixture, 3, by: "w-1:7")
            #expect(try await recovery(fixture).giveBackJobs(ofLost: "w-1") == ["3", "2", "1"])
            #expect(try await fixture.strings("LRANGE", "bull:q:wait", "0", "-1") == ["3", "2", "1"])
            #expect(
                try await fixture.events().suffix(4) == [
                    "waiting jobId 2 prev active", "stalled jobId 2", "waiting jobId 1 prev active", "stalled jobId 1",
                ])
        }
    }

    @Test func `jobs of others stay, whatever their tokens look like`() async throws {
        try await Fixture.with { fixture in
            _ = try await fixture.producer().add((0..<6).map { .init("n", data: "\($0)") })
            for token in ["w:1", "w1:1", "xw:1", "w", "other:w:1"] { try await take(fixture, 1, by: token) }
            try await take(fixture, 1, by: "w:2")
            // Its lock has lapsed: whose it was cannot be told any more.
            try await fixture.call("DEL", "bull:q:6:lock")
            try await fixture.call("LPUSH", "bull:q:other:lock", "a key of another type")
            try await fixture.call("LPUSH", "bull:q:active", "other")
            #expect(try await recovery(fixture).giveBackJobs(ofLost: "w") == ["1"])
            #expect(
                try await fixture.strings("LRANGE", "bull:q:active", "0", "-1") == ["other", "6", "5", "4", "3", "2"])
            #expect(try await fixture.call("GET", "bull:q:2:lock").string == "w1:1")
            #expect(try await fixture.hash("2")["stc"] == nil)
            #expect(try await recovery(fixture).giveBackJobs(ofLost: "w") == [])
        }
    }

    @Test func `thousands of jobs are given back at once`() async throws {
        try await Fixture.with { fixture in
            _ = try await fixture.producer().add((0..<2500).map { .init("n", data: "\($0)") })
            try await take(fixture, 2500, by: "w:1")
            #expect(try await recovery(fixture).giveBackJobs(ofLost: "w").count == 2500)
            #expect(try await fixture.counts("wait", "active") == [2500, 0])
        }
    }

    @Test func `a scheduler's job ends as well, and its scheduler goes on`() async throws {
        try await Fixture.with { fixture in
            let scheduler = try BullScheduler(queue: Fixture.queue, client: fixture.client)
            try await scheduler.upsert("s", BullSchedule(.every(.seconds(3600), offset: nil)))
            let id = try #require(try await fixture.strings("KEYS", "bull:q:repeat:s:*").first).dropFirst(7)
            let starts = Record<Int>()
            for number in 1...3 {
                let worker = try fixture.worker {
                    $0.id = "w\(number)"
                } handler: { job, _ in
                    starts.append(job.attemptsStarted)
                    // As if the process had ended: the job is given back underneath.
                    _ = try? await recovery(fixture).giveBackJobs(ofLost: "w\(number)")
                    return .completed("null")
                }
                try await fixture.running(worker) {
                    try await eventually("start \(number)") {
                        if starts.count >= number { return true }
                        return try await fixture.count("failed") == 1
                    }
                }
            }
            #expect(try await fixture.hash(String(id))["failedReason"] == "job stalled more than allowable limit")
            #expect(try await fixture.counts("failed", "delayed") == [1, 1])
        }
    }

    @Test func `a worker's tokens begin with its id`() async throws {
        try await Fixture.with { fixture in
            _ = try await fixture.producer().add("n", data: "{}", options: .init())
            let tokens = Record<String>()
            let worker = try fixture.worker {
                $0.id = "0a-Z_9"
            } handler: { job, _ in
                tokens.append((try? await fixture.call("GET", "bull:q:\(job.id):lock").string) ?? "none")
                return .completed("null")
            }
            try await fixture.running(worker) {
                try await eventually("completed") { try await fixture.count("completed") == 1 }
            }
            #expect(tokens.all == ["0a-Z_9:1"])
        }
    }

    @Test(arguments: ["", "a:1", "ä", "a b", String(repeating: "a", count: 65)])
    func `an id that cannot be told from others is refused`(id: String) async throws {
        try await Fixture.with { fixture in
            #expect(throws: BullError(.invalidOption, "")) {
                _ = try fixture.worker {
                    $0.id = id
                } handler: { _, _ in
                    .handBack
                }
            }
            await #expect(throws: BullError(.invalidName, "")) {
                try await recovery(fixture).giveBackJobs(ofLost: id)
            }
        }
    }

    @Test(arguments: [4, 9])
    func `jobs that lost their worker are worked alone`(concurrency: Int) async throws {
        try await Fixture.with { fixture in
            _ = try await fixture.producer().add((0..<24).map { .init("n", data: "\($0)") })
            for id in [2, 3, 5, 24] { try await fixture.call("HSET", "bull:q:\(id)", "stc", "1") }
            let running = Record<Int>()
            let beside = Record<String>()
            let worker = try fixture.worker {
                ($0.concurrency, $0.worksStalledAlone) = (concurrency, true)
            } handler: { job, _ in
                running.append(1)
                let before = running.all.reduce(0, +)
                try? await Task.sleep(for: .milliseconds(10))
                if job.stalledCount > 0, before > 1 || running.all.reduce(0, +) > 1 { beside.append(job.id) }
                if before > 1 { beside.append("others") }
                running.append(-1)
                return .completed("null")
            }
            try await fixture.running(worker) {
                try await eventually("all completed") { try await fixture.count("completed") == 24 }
            }
            #expect(Set(beside.all) == ["others"])
            #expect(try await fixture.hash("5")["ats"] == "1")
        }
    }

    @Test func `a job that is to be alone wakes another worker`() async throws {
        try await Fixture.with { fixture in
            let producer = try fixture.producer()
            _ = try await producer.add("long", data: "{}", options: .init())
            let done = Record<String>()
            func make(_ name: String) throws -> BullWorker {
                try fixture.worker {
                    ($0.concurrency, $0.worksStalledAlone, $0.drainDelay) = (2, true, .seconds(60))
                    $0.name = name
                } handler: { job, _ in
                    if job.name == "long" {
                        try? await eventually("the other one") { done.count == 1 }
                    }
                    done.append(job.name)
                    return .completed("null")
                }
            }
            let (first, second) = (try make("a"), try make("b"))
            try await fixture.running(first) {
                try await eventually("taken") { try await fixture.count("active") == 1 }
                try await fixture.running(second) {
                    // Both wait for markers; whoever gets this one's, the idle worker works it.
                    _ = try await producer.add("delayed", data: "{}", options: .init(delay: .milliseconds(300)))
                    try await fixture.call("HSET", "bull:q:2", "stc", "1")
                    try await eventually("both completed") { try await fixture.count("completed") == 2 }
                }
            }
            #expect(done.all == ["delayed", "long"])
            #expect(try await fixture.hash("2")["pb"] == "b")
        }
    }
}
