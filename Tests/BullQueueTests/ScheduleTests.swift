import Foundation
import FunctionKit
import NIOCore
import RedisClient
import TestSupport
import Testing

@testable import BullQueue

@Suite(.serialized) struct ScheduleTests {
    private func scheduler(_ fixture: Fixture, _ client: RedisClient? = nil) throws -> BullScheduler {
        try BullScheduler(queue: Fixture.queue, client: client ?? fixture.client)
    }

    /// Takes the queue's next job as a worker would that then dies.
    private func take(_ fixture: Fixture, lockMs: Int = 100) async throws -> BullJob {
        let now = Timestamp.now.milliseconds
        let reply = try await fixture.client.send(
            .evaluate(
                BullScripts.fetchJobs, keys: ["bull:q:"],
                arguments: [
                    .integer(now), 1, "gone:1", .integer(Int64(lockMs)), "", "", "", "",
                ]))
        let job = try #require(reply.array?.first?.array?.first)
        return try #require(BullJob(reply: job, token: "gone:1"))
    }

    private func expectTicks(_ ticks: [Int64], apart ms: Int64) {
        let sorted = ticks.sorted()
        for (tick, next) in zip(sorted, sorted.dropFirst()) {
            #expect(next - tick == ms, "\(tick) is followed by \(next)")
        }
    }

    @Test(arguments: [BullSchedule(.pattern("* * * * * *")), BullSchedule(.every(.seconds(1)))])
    func `three workers of two clients run each tick once`(schedule: BullSchedule) async throws {
        try await Fixture.with { fixture in
            let ticks = Record<Int64>()
            let other = try Fixture.newClient(fixture.redis, fixture.logger)
            let handler: BullWorker.Handler = { job, _ in
                let at = job.scheduledAt?.milliseconds ?? 0
                #expect(Timestamp.now.milliseconds >= at)
                ticks.append(at)
                return .completed("null")
            }
            let workers = try [fixture.client, fixture.client, other].map { client in
                // A busy machine may be late by more than a tick.
                try fixture.worker(
                    {
                        $0.drainDelay = .seconds(60)
                        $0.scheduleGrace = .seconds(20)
                    }, client: client, handler: handler)
            }
            try await fixture.running(workers[0], workers[1], workers[2]) {
                try await scheduler(fixture).upsert("s", schedule)
                try await eventually("five ticks") { ticks.count >= 5 }
            }
            await other.close()
            expectTicks(ticks.all, apart: 1000)
            #expect(try await scheduler(fixture).count() == 1)
            #expect(try await fixture.counts("delayed", "wait").reduce(0, +) == 1)
            let record = try #require(try await scheduler(fixture).get("s"))
            #expect(record.plannedCount == ticks.count + 1)
        }
    }

    @Test(arguments: [BullSchedule(.pattern("0 * * * * *")), BullSchedule(.every(.seconds(60)))])
    func `after a long pause the next time is the first to come, after a short one none is left out`(
        schedule: BullSchedule
    ) async throws {
        try await Fixture.with { fixture in
            let schedulers = try scheduler(fixture)
            for (late, minutes) in [(Int64(150_000), Int64(1)), (150_000, 3), (59_000, 1)] {
                let due = try #require(try await schedulers.upsert("s", schedule)).due.milliseconds
                let job = try #require(
                    BullJob(
                        reply: .array([
                            .bytes(ByteBuffer(string: "repeat:s:\(due)")), .integer(1),
                            .array(
                                [
                                    "name", "n", "rjk", "s", "opts",
                                    schedule == .init(.every(.seconds(60)))
                                        ? #"{"repeat":{"every":60000}}"# : #"{"repeat":{"pattern":"0 * * * * *"}}"#,
                                ].map { .bytes(ByteBuffer(string: $0)) }),
                        ]), token: "t"))
                let advance = ScheduleAdvance(
                    schedulerID: "s", job: job, keys: try fixture.keys, client: fixture.client,
                    grace: minutes == 1 ? .seconds(100) : .zero)
                guard case .planned = try await advance.run(now: due + late) else {
                    Issue.record("nothing was planned")
                    return
                }
                let next = try #require(try await schedulers.get("s")).next.milliseconds
                #expect(next - due == minutes * 60_000, "late by \(late)")
                try await fixture.call("FLUSHALL")
            }
        }
    }

    @Test func `a job whose worker dies before it planned is followed once it runs again`() async throws {
        try await Fixture.with { fixture in
            let schedulers = try scheduler(fixture)
            try await schedulers.upsert("s", .init(.every(.seconds(3600))))
            let job = try await take(fixture)
            #expect(job.schedulerID == "s")
            let runs = Record<String>()
            let worker = try fixture.worker {
                $0.stalledCheckInterval = .milliseconds(50)
                $0.stalledCheckGate = .milliseconds(20)
                $0.maxStalledCount = 0
            } handler: { job, _ in
                runs.append(job.id)
                return .completed("null")
            }
            try await fixture.running(worker) { try await eventually("it ran") { runs.count == 1 } }
            #expect(runs.all == [job.id])
            #expect(try await fixture.counts("failed", "delayed") == [0, 1])
            let next = try #require(try await schedulers.get("s")).next
            #expect(next.milliseconds - (job.scheduledAt?.milliseconds ?? 0) == 3_600_000)
        }
    }

    @Test func `a job that planned before its worker died does not plan again`() async throws {
        try await Fixture.with { fixture in
            let schedulers = try scheduler(fixture)
            try await schedulers.upsert("s", .init(.every(.seconds(3600)), name: "n", data: #"{"a":1}"#))
            let job = try await take(fixture)
            let advance = ScheduleAdvance(
                schedulerID: "s", job: job, keys: try fixture.keys, client: fixture.client)
            let now = Timestamp.now.milliseconds
            guard case .planned(let id) = try await advance.run(now: now) else {
                Issue.record("nothing was planned")
                return
            }
            let planned = try await fixture.hash(id)
            #expect(try await advance.run(now: now) == .notCurrent)
            let worker = try fixture.worker {
                $0.stalledCheckInterval = .milliseconds(50)
                $0.stalledCheckGate = .milliseconds(20)
            } handler: { _, _ in
                .completed("null")
            }
            try await fixture.running(worker) {
                try await eventually("it ran again") { try await fixture.count("completed") == 1 }
            }
            #expect(try await fixture.hash(id) == planned && planned["data"] == #"{"a":1}"#)
            #expect(try await schedulers.get("s")?.plannedCount == 2)
            #expect(try await fixture.call("GET", "bull:q:id").string == "2")
        }
    }

    @Test func `while the server is away a worker waits with the job, and then plans and runs it`() async throws {
        try await Fixture.with(appendOnly: true) { fixture in
            try await scheduler(fixture).upsert("s", .init(.every(.seconds(3600))))
            let job = try await take(fixture)
            let runs = Record<String>()
            let worker = try fixture.worker { job, _ in
                runs.append(job.id)
                return .completed("1")
            }
            let control = BullJobControl(job: job, worker: worker, hold: BullHold())
            fixture.redis.kill()
            async let outcome = worker.work(job, of: "s", control, refusal: nil)
            try await Task.sleep(for: .milliseconds(300))
            #expect(runs.count == 0)
            try fixture.redis.start()
            guard case .completed = await outcome else {
                Issue.record("the job did not run")
                return
            }
            #expect(try await fixture.count("delayed") == 1)
        }
    }

    @Test func `a job that cannot plan while the server stays away goes back to the queue`() async throws {
        try await Fixture.with(appendOnly: true) { fixture in
            try await scheduler(fixture).upsert("s", .init(.every(.seconds(3600))))
            let job = try await take(fixture)
            let worker = try fixture.worker {
                $0.lockDuration = .milliseconds(100)
            } handler: { _, _ in
                Issue.record("the job ran")
                return .completed("1")
            }
            let control = BullJobControl(job: job, worker: worker, hold: BullHold())
            fixture.redis.kill()
            guard case .handBack = await worker.work(job, of: "s", control, refusal: nil) else {
                Issue.record("the job was not handed back")
                return
            }
        }
    }

    @Test(arguments: [
        #"{"repeat":{"pattern":"nope"}}"#, #"{"repeat":{"pattern":"* * * * *","tz":"Mars/Olympus"}}"#,
        #"{"repeat":7}"#, "[]", #"{"repeat":{"every":-1}}"#,
    ])
    func `a job whose times cannot be read runs all the same`(options: String) async throws {
        try await Fixture.with { fixture in
            try await scheduler(fixture).upsert("s", .init(.every(.seconds(3600))))
            let id = try #require(try await fixture.strings("LRANGE", "bull:q:wait", "0", "0").first)
            try await fixture.call("HSET", "bull:q:\(id)", "opts", options)
            try await fixture.call("HDEL", "bull:q:repeat:s", "every")
            let worker = try fixture.worker { _, _ in .completed("null") }
            try await fixture.running(worker) {
                try await eventually("it ended") {
                    try await fixture.counts("completed", "failed").reduce(0, +) == 1
                }
            }
            // Options that are no object fail a job, whoever planned it.
            #expect(try await fixture.count("completed") == (options == "[]" ? 0 : 1))
            #expect(try await fixture.count("delayed") == 0)
        }
    }

    @Test func `a queue's key of the wrong type does not keep the job from running`() async throws {
        try await Fixture.with { fixture in
            try await scheduler(fixture).upsert("s", .init(.every(.seconds(3600))))
            try await fixture.call("SET", "bull:q:repeat", "x")
            let worker = try fixture.worker { _, _ in .completed("null") }
            try await fixture.running(worker) {
                try await eventually("it ran") { try await fixture.count("completed") == 1 }
            }
        }
    }

    @Test func `a job that is refused is followed by the next one`() async throws {
        try await Fixture.with { fixture in
            try await scheduler(fixture).upsert("s", .init(.every(.seconds(3600))))
            let id = try #require(try await fixture.strings("LRANGE", "bull:q:wait", "0", "0").first)
            try await fixture.call("HSET", "bull:q:\(id)", "ats", "5")
            let worker = try fixture.worker {
                $0.maxStartedAttempts = 3
            } handler: { _, _ in
                Issue.record("the job ran")
                return .completed("null")
            }
            try await fixture.running(worker) {
                try await eventually("it failed") { try await fixture.count("failed") == 1 }
            }
            #expect(try await fixture.hash(id)["failedReason"] == "job started more than allowable limit")
            #expect(try await fixture.count("delayed") == 1)
        }
    }

    @Test func `a worker whose clock is behind plans the tick after the one that it runs`() async throws {
        try await Fixture.with { fixture in
            let schedulers = try scheduler(fixture)
            let due = try #require(try await schedulers.upsert("s", .init(.pattern("0 0 1 1 *")))).due
            try await fixture.call("DEL", "bull:q:delayed")
            try await fixture.call("LPUSH", "bull:q:wait", "repeat:s:\(due.milliseconds)")
            let job = try await take(fixture)
            let advance = ScheduleAdvance(
                schedulerID: "s", job: job, keys: try fixture.keys, client: fixture.client)
            _ = try await advance.run(now: Timestamp.now.milliseconds)
            let next = try #require(try await schedulers.get("s")).next
            #expect(CivilTime(next).year == CivilTime(due).year + 1)
        }
    }

    @Test func `nothing is planned behind the end`() async throws {
        try await Fixture.with { fixture in
            let end = Timestamp.now + .seconds(2)
            let ticks = Record<Int64>()
            let worker = try fixture.worker { job, _ in
                ticks.append(job.scheduledAt?.milliseconds ?? 0)
                return .completed("null")
            }
            try await fixture.running(worker) {
                try await scheduler(fixture).upsert("s", .init(.every(.milliseconds(700)), end: end))
                try await eventually("three ticks") { ticks.count >= 3 }
                try await Task.sleep(for: .milliseconds(800))
            }
            #expect(ticks.count == 3 && ticks.all.allSatisfy { $0 <= end.milliseconds })
            let late = BullSchedule(.pattern("0 0 1 1 *"), end: Timestamp.now + .seconds(1))
            #expect(try await scheduler(fixture).upsert("t", late) == nil)
            #expect(try await scheduler(fixture).get("t") == nil)
        }
    }

    @Test func `many who make sure of a scheduler plan one job`() async throws {
        try await Fixture.with { fixture in
            let schedulers = try scheduler(fixture)
            let planned = try await withThrowingTaskGroup(of: BullScheduler.Iteration?.self) { group in
                for _ in 0..<16 { group.addTask { try await schedulers.ensure("s", .init(.pattern("0 0 1 1 *"))) } }
                return try await group.reduce(into: []) { if let next = $1 { $0.append(next) } }
            }
            #expect(planned.count == 1)
            #expect(try await fixture.count("delayed") == 1)
        }
    }

    @Test func `what is lost of a scheduler is put back, what is there is left`() async throws {
        try await Fixture.with { fixture in
            let schedulers = try scheduler(fixture)
            let schedule = BullSchedule(.pattern("0 0 1 1 *"), data: "[1]", options: .init(attempts: 2))
            let first = try #require(try await schedulers.ensure("s", schedule))
            let key = "bull:q:\(first.jobID)"
            #expect(try await schedulers.ensure("s", schedule) == nil)
            for lost in [["repeat"], ["repeat:s"], ["delayed"], [first.jobID], ["repeat", "repeat:s", "delayed"]] {
                _ = try await fixture.client.send(RedisCommand(["DEL"] + lost.map { "bull:q:\($0)" }))
                #expect(try await schedulers.ensure("s", schedule) == first, "\(lost)")
                #expect(try await fixture.strings("ZRANGE", "bull:q:delayed", "0", "-1") == [first.jobID])
                #expect(try await fixture.call("HGET", key, "data").string == "[1]")
            }
            try await fixture.call("FLUSHALL")
            #expect(try await schedulers.ensure("s", schedule) == first)

            // While it waits, is held up or is worked, it is there.
            try await fixture.call("ZREM", "bull:q:delayed", first.jobID)
            for list in ["wait", "paused", "active"] {
                try await fixture.call("LPUSH", "bull:q:\(list)", first.jobID)
                #expect(try await schedulers.ensure("s", schedule) == nil)
                try await fixture.call("DEL", "bull:q:\(list)")
            }
            // It has ended, and nobody planned the next: that one's time is the one behind it.
            try await fixture.call("ZADD", "bull:q:completed", "1", first.jobID)
            let second = try #require(try await schedulers.ensure("s", schedule))
            #expect(CivilTime(second.due).year == CivilTime(first.due).year + 1)
            #expect(try await fixture.call("HGET", key, "data").string == "[1]")
        }
    }

    @Test func `a changed schedule replaces the job that waits`() async throws {
        try await Fixture.with { fixture in
            let schedulers = try scheduler(fixture)
            let first = try #require(try await schedulers.ensure("s", .init(.pattern("0 0 1 1 *"))))
            for change in [
                BullSchedule(.pattern("0 1 1 1 *")), BullSchedule(.pattern("0 1 1 1 *", timeZone: "Asia/Tokyo")),
                BullSchedule(.pattern("0 1 1 1 *", timeZone: "Asia/Tokyo"), options: .init(attempts: 4)),
                BullSchedule(.every(.seconds(3600), offset: .seconds(5))),
            ] {
                let next = try #require(try await schedulers.ensure("s", change))
                #expect(try await fixture.strings("ZRANGE", "bull:q:delayed", "0", "-1") == [next.jobID])
                #expect(try await schedulers.ensure("s", change) == nil)
            }
            #expect(try await fixture.call("EXISTS", "bull:q:\(first.jobID)").integer == 0)
        }
    }

    @Test func `schedulers are read as they were made`() async throws {
        try await Fixture.with { fixture in
            let schedulers = try scheduler(fixture)
            let (start, end) = (Timestamp.now + .seconds(60), Timestamp.now + .seconds(90 * 86_400))
            try await schedulers.upsert(
                "p",
                .init(
                    .pattern("0 0 * * *", timeZone: "Europe/Berlin"), start: start, end: end, limit: 4, name: "n",
                    data: "7", options: .init(attempts: 3)))
            try await schedulers.upsert("e", .init(.every(.seconds(10))))
            try await fixture.call("ZADD", "bull:q:repeat", "5", "old:id::UTC:* * * * *")
            let all = try await schedulers.list()
            #expect(all.map(\.id) == ["e", "p"])
            #expect(all[0].every == .seconds(10) && all[0].pattern == nil && all[0].name == "e")
            let record = all[1]
            #expect(record.pattern == "0 0 * * *" && record.timeZone == "Europe/Berlin" && record.every == nil)
            #expect(record.start == start && record.end == end && record.limit == 4 && record.name == "n")
            #expect(record.data == "7" && record.optionsJSON == #"{"attempts":3}"# && record.plannedCount == 1)
            #expect(try await schedulers.list(offset: 2).map(\.id) == ["p"])
            #expect(try await schedulers.list(count: 2).map(\.id) == ["e"])
            #expect(try await schedulers.count() == 3)
            #expect(try await schedulers.get("nothing") == nil)
            #expect(try await schedulers.remove("p"))
            #expect(try await !schedulers.remove("p"))
            #expect(try await fixture.count("delayed") == 0)
        }
    }

    @Test(arguments: [
        BullSchedule(.every(.zero)), BullSchedule(.every(.seconds(5), offset: .seconds(5))),
        BullSchedule(.every(.seconds(5), offset: .seconds(-1))), BullSchedule(.pattern("* * *")),
        BullSchedule(.pattern("* * * * *", timeZone: "Mars/Olympus")),
        BullSchedule(.pattern("* * * * *", timeZone: "europe/berlin")), BullSchedule(.every(.seconds(1)), limit: 0),
        BullSchedule(.every(.seconds(1)), start: .now + .seconds(9), end: .now + .seconds(8)),
        BullSchedule(.every(.seconds(1)), options: .init(delayMs: 5)),
        BullSchedule(.every(.seconds(1)), options: .init(id: "x")),
        BullSchedule(.every(.seconds(1)), options: .init(deduplication: BullDeduplication("x"))),
    ])
    func `a schedule that makes no sense is refused`(schedule: BullSchedule) async throws {
        #expect(throws: BullError(.invalidSchedule, "")) { try schedule.validate() }
    }

    @Test func `dates are read as numbers, as texts of numbers and as ISO 8601`() throws {
        for text in ["1893553445006", #""1893553445006""#, #""2030-01-02T03:04:05.006Z""#] {
            let rule = try #require(RepeatRule(JSONNode(parsing: #"{"every":5,"endDate":\#(text),"x":[]}"#)))
            #expect(rule.end == 1_893_553_445_006 && rule.following().members["x"] == .array([]))
        }
        let rule = RepeatRule(JSONNode(parsing: #"{"pattern":"* * * * *","startDate":"2030-01-02T03:04:05Z"}"#))
        #expect(rule?.start == 1_893_553_445_000 && rule?.end == nil)
        #expect(try rule?.next(of: "0 * * * *", after: 5) == 1_893_556_800_000)
        #expect(RepeatRule(JSONNode(parsing: #"{"every":0,"pattern":""}"#)) == nil)
    }

    @Test func `a zone is known by any of its names, in the database's spelling`() {
        for name in [
            "UTC", "GMT", "Europe/Berlin", "US/Pacific", "Asia/Calcutta", "Etc/GMT+5", "America/Argentina/Salta",
        ] {
            #expect(BullSchedule.isTimeZone(name), "\(name)")
        }
        for name in ["", "europe/berlin", "Mars/Olympus", "Europe", "../etc/passwd", "Europe/Berlin "] {
            #expect(!BullSchedule.isTimeZone(name), "\(name)")
        }
    }

    @Test(arguments: [
        #"{"repeat":{"every":5,"count":"9223372036854775807","endDate":1e300,"limit":"x"}}"#,
        #"{"repeat":{"pattern":"* * * * *","count":-9e15,"startDate":9e15,"tz":7}}"#,
        #"{"repeat":{"pattern":"* * * * *","startDate":"yesterday","endDate":{}}}"#,
    ])
    func `numbers out of all bounds in a job's options do no harm`(options: String) async throws {
        try await Fixture.with { fixture in
            try await scheduler(fixture).upsert("s", .init(.every(.seconds(3600))))
            let id = try #require(try await fixture.strings("LRANGE", "bull:q:wait", "0", "0").first)
            try await fixture.call("HSET", "bull:q:\(id)", "opts", options)
            let worker = try fixture.worker { _, _ in .completed("null") }
            try await fixture.running(worker) {
                try await eventually("it ran") { try await fixture.count("completed") == 1 }
            }
        }
    }

    // MARK: The peer

    private func peer(_ fixture: Fixture, _ arguments: String...) async throws -> [String] {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        // Not standardized: behind the link is a Python that does not know of the environment.
        let own = folder.path + "/../../.venv/bin/python"
        let process = Process()
        process.executableURL = URL(fileURLWithPath: ProcessInfo.processInfo.environment["FERRY_PYTHON"] ?? own)
        process.arguments =
            [folder.appendingPathComponent("Fixtures/peer_scheduler.py").path, fixture.redis.socket] + arguments
        let output = Pipe()
        process.standardOutput = output
        return try await withCheckedThrowingContinuation { continuation in
            process.terminationHandler = { process in
                let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
                if process.terminationStatus == 0 {
                    continuation.resume(returning: text.split(separator: "\n").map(String.init))
                } else {
                    continuation.resume(throwing: NotInTime(description: "the peer failed"))
                }
            }
            do { try process.run() } catch { continuation.resume(throwing: error) }
        }
    }

    @Test(arguments: [
        (#"{"every": 500}"#, Int64(500)), (#"{"pattern": "* * * * * *", "tz": "America/New_York", "limit": 4}"#, 1000),
    ])
    func `a scheduler of the peer goes on with this worker`(rule: String, apart: Int64) async throws {
        try await Fixture.with { fixture in
            _ = try await peer(fixture, "upsert", "s", rule, "n", #"{"a":[]}"#, #"{"attempts":2,"removeOnFail":9}"#)
            let ticks = Record<Int64>()
            let jobs = Record<BullJob>()
            let worker = try fixture.worker {
                $0.drainDelay = .seconds(60)
                $0.scheduleGrace = .seconds(20)
            } handler: { job, _ in
                ticks.append(job.scheduledAt?.milliseconds ?? 0)
                jobs.append(job)
                return .completed("null")
            }
            try await fixture.running(worker) { try await eventually("four ticks") { ticks.count >= 4 } }
            expectTicks(ticks.all, apart: apart)
            for job in jobs.all {
                #expect(job.name == "n" && job.data == #"{"a":[]}"#)
                #expect(job.options.attempts == 2 && job.options.removeOnFail == BullKeepRule(count: 9))
            }
        }
    }

    @Test func `a scheduler goes on with the peer's worker, and then with this one`() async throws {
        try await Fixture.with { fixture in
            let schedule = BullSchedule(
                .pattern("* * * * * *", timeZone: "Europe/Berlin"), name: "n", data: #"{"a":1}"#,
                options: .init(attempts: 2, priority: 4))
            try await scheduler(fixture).upsert("s", schedule)
            let theirs = try await peer(fixture, "work", "2")
            let ours = Record<String>()
            let worker = try fixture.worker { job, _ in
                #expect(job.data == #"{"a":1}"# && job.priority == 4)
                ours.append(job.id)
                return .completed("null")
            }
            try await fixture.running(worker) { try await eventually("two more") { ours.count >= 2 } }
            #expect(theirs.count >= 2 && Set(theirs).isDisjoint(with: ours.all))
            #expect(Set(theirs + ours.all).count == theirs.count + ours.count)
            #expect(try await scheduler(fixture).ensure("s", schedule) == nil)
            #expect(try await fixture.counts("delayed", "prioritized").reduce(0, +) == 1)
        }
    }
}
