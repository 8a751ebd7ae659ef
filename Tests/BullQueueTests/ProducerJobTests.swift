import FunctionKit
import RedisClient
import Testing

@testable import BullQueue

/// What a producer does with a job that it has queued before.
@Suite struct ProducerJobTests {
    private static let data = #"{"round":2}"#

    private struct Bench {
        let fixture: Fixture
        let producer: BullProducer

        var base: String { producer.keys.base }

        func send(_ command: String...) async throws -> RESPValue { try await fixture.client.send(command) }

        func requeue(_ id: String = "a", attempts: Int = 5, priority: Int = 0) async throws -> JobRequeue {
            try await producer.requeue(
                id, name: "n2", data: ProducerJobTests.data, options: JobOptions(priority: priority, attempts: attempts)
            )
        }

        func add(_ options: JobOptions = JobOptions(id: "a")) async throws {
            _ = try await producer.add("n", data: #"{"round":1}"#, options: options)
        }

        /// Takes one job, as a worker does.
        func take() async throws -> String? {
            let reply = try await fixture.client.evaluate(
                BullScripts.fetchJobs, keys: [base],
                arguments: [String(Timestamp.now.milliseconds), "1", "token", "60000", "", "", "", ""])
            return reply.array?.first?.array?.first?.array?.first?.string
        }

        /// Ends one job, as a worker does.
        func end(_ id: String, as state: String) async throws {
            _ = try await fixture.client.evaluate(
                BullScripts.finishJobs, keys: [base],
                arguments: [
                    String(Timestamp.now.milliseconds), "0", "token", "60000", "", "", "", id, "token", state,
                    #""x""#, "1", "",
                ])
        }

        func field(_ name: String, of id: String = "a") async throws -> String? {
            try await send("HGET", base + id, name).string
        }

        func waiting() async throws -> [String] {
            try await send("LRANGE", base + "wait", "0", "-1").array?.compactMap(\.string) ?? []
        }

        func events() async throws -> [String] {
            let entries = try await send("XRANGE", base + "events", "-", "+").array ?? []
            return entries.compactMap { $0.array?.last?.array?.compactMap(\.string).joined(separator: " ") }
        }

        /// The new data and nothing of the old round.
        func expectNew(_ id: String = "a", location: SourceLocation = #_sourceLocation) async throws {
            #expect(try await field("data", of: id) == ProducerJobTests.data, sourceLocation: location)
            #expect(try await field("name", of: id) == "n2", sourceLocation: location)
            #expect(try await field("opts", of: id)?.contains(#""attempts":5"#) == true, sourceLocation: location)
            for name in ["atm", "ats", "stc", "defa", "failedReason", "returnvalue", "finishedOn", "processedOn"] {
                #expect(try await field(name, of: id) == nil, "\(name)", sourceLocation: location)
            }
        }
    }

    private func with(_ body: (Bench) async throws -> Void) async throws {
        try await Fixture.with { fixture in
            let producer = try BullProducer(queue: Fixture.queue, client: fixture.client)
            try await body(Bench(fixture: fixture, producer: producer))
        }
    }

    @Test func `many jobs are found in one step, in their order`() async throws {
        try await with { bench in
            for id in ["w", "a", "c", "f", "s"] { try await bench.add(JobOptions(id: id)) }
            try await bench.add(JobOptions(id: "d", delay: .seconds(60)))
            try await bench.add(JobOptions(id: "p", priority: 3))
            _ = try await bench.send("LREM", bench.base + "wait", "1", "s")
            _ = try await bench.send("LMOVE", bench.base + "wait", bench.base + "paused", "LEFT", "LEFT")
            _ = try await bench.send("LREM", bench.base + "wait", "1", "a")
            _ = try await bench.send("LPUSH", bench.base + "active", "a")
            _ = try await bench.send("ZADD", bench.base + "completed", "5", "c")
            _ = try await bench.send("ZADD", bench.base + "failed", "6", "f")
            let found = try await bench.producer.find(["w", "none", "s", "a", "c", "f", "d", "p", "w"])
            #expect(
                found.map { $0?.state } == [
                    .waiting, nil, .stray, .active, .ended, .ended, .waiting, .waiting, .waiting,
                ])
            #expect(found[4]?.ending?.isFailed == false && found[5]?.ending?.isFailed == true)
            #expect(try await bench.producer.find([String]()) == [])
            // Too many to look through: taken for granted.
            let many = (0..<5_001).map { "x\($0)" }
            _ = try await bench.fixture.client.send(["RPUSH", bench.base + "wait"] + many)
            #expect(try await bench.producer.find("s")?.state == .waiting)
            #expect(try await bench.requeue("s") == .added)
        }
    }

    @Test func `an unknown job is added`() async throws {
        try await with { bench in
            #expect(try await bench.producer.find("a") == nil)
            #expect(try await bench.requeue() == .added)
            try await bench.expectNew()
            #expect(try await bench.waiting() == ["a"])
            #expect(try await bench.events() == ["event added jobId a name n2", "event waiting jobId a"])
            #expect(try await bench.producer.find("a") == QueuedJob(state: .waiting, data: Self.data))
            #expect(try await bench.take() == "a")
        }
    }

    @Test(arguments: ["completed", "failed"])
    func `a job that has ended waits again as a new one`(_ state: String) async throws {
        try await with { bench in
            try await bench.add()
            #expect(try await bench.take() == "a")
            try await bench.end("a", as: state)
            let found = try #require(try await bench.producer.find("a"))
            #expect(found.state == .ended && found.data == #"{"round":1}"#)
            #expect(found.ending?.isFailed == (state == "failed"))
            #expect(abs((found.ending?.at.milliseconds ?? 0) - Timestamp.now.milliseconds) < 60_000)
            #expect(try await bench.requeue() == .requeued)
            try await bench.expectNew()
            #expect(try await bench.waiting() == ["a"])
            #expect(try await bench.send("ZSCORE", bench.base + state, "a") == .null)
            #expect(try await bench.events().last == "event waiting jobId a prev \(state)")
        }
    }

    @Test(arguments: [false, true])
    func `a job that waits keeps its place and gets the new data`(_ isPaused: Bool) async throws {
        try await with { bench in
            try await bench.add(JobOptions(id: "first"))
            try await bench.add()
            try await bench.add(JobOptions(id: "last"))
            if isPaused { _ = try await bench.send("RENAME", bench.base + "wait", bench.base + "paused") }
            // As after an attempt that failed or stalled.
            _ = try await bench.send(
                "HSET", bench.base + "a", "atm", "2", "ats", "2", "stc", "1", "defa", "x", "failedReason", "y")
            let before = try await bench.events()
            #expect(try await bench.requeue() == .waiting)
            try await bench.expectNew()
            let list = try await bench.send("LRANGE", bench.base + (isPaused ? "paused" : "wait"), "0", "-1")
            #expect(list.array?.compactMap(\.string) == ["last", "a", "first"])
            #expect(try await bench.events() == before)
        }
    }

    @Test func `a job that waits by priority keeps it`() async throws {
        try await with { bench in
            try await bench.add(JobOptions(id: "a", priority: 3))
            let score = try await bench.send("ZSCORE", bench.base + "prioritized", "a")
            #expect(try await bench.requeue() == .waiting)
            try await bench.expectNew()
            #expect(try await bench.field("priority") == "3")
            #expect(try await bench.send("ZSCORE", bench.base + "prioritized", "a") == score)
            #expect(try await bench.waiting().isEmpty)
        }
    }

    @Test func `a job that a back-off delayed is ready at once`() async throws {
        try await with { bench in
            try await bench.add(JobOptions(id: "a", delay: .seconds(600)))
            #expect(try await bench.producer.find("a")?.state == .waiting)
            #expect(try await bench.requeue() == .waiting)
            try await bench.expectNew()
            #expect(try await bench.field("delay") == "0")
            #expect(try await bench.send("ZCARD", bench.base + "delayed") == .integer(0))
            #expect(try await bench.take() == "a")
        }
    }

    @Test func `a job that a worker holds is left alone`() async throws {
        try await with { bench in
            try await bench.add()
            #expect(try await bench.take() == "a")
            #expect(try await bench.producer.find("a") == QueuedJob(state: .active, data: #"{"round":1}"#))
            #expect(try await bench.requeue() == .active)
            #expect(try await bench.field("data") == #"{"round":1}"#)
            #expect(try await !bench.producer.remove("a", data: #"{"round":1}"#))
            // Its hash was cleaned away under the worker; its lock has lapsed.
            _ = try await bench.send("DEL", bench.base + "a", bench.base + "a:lock")
            #expect(try await bench.producer.find("a") == QueuedJob(state: .active, data: ""))
            #expect(try await bench.requeue() == .active)
            #expect(try await !bench.producer.remove("a", data: ""))
            #expect(try await bench.send("EXISTS", bench.base + "a") == .integer(0))
        }
    }

    @Test func `a hash that no list holds is made anew`() async throws {
        try await with { bench in
            try await bench.add()
            _ = try await bench.send("DEL", bench.base + "wait")
            _ = try await bench.send("HSET", bench.base + "a", "atm", "2")
            #expect(try await bench.requeue() == .added)
            try await bench.expectNew()
            #expect(try await bench.waiting() == ["a"])
        }
    }

    @Test(arguments: [JobOptions(id: "a"), JobOptions(id: "a", delay: .seconds(60)), JobOptions(id: "a", priority: 2)])
    func `a job is removed only with the data that is known`(_ options: JobOptions) async throws {
        try await with { bench in
            try await bench.add(options)
            #expect(try await !bench.producer.remove("a", data: Self.data))
            let known = try #require(try await bench.producer.find("a"))
            #expect(try await bench.producer.remove("a", data: known.data))
            #expect(try await bench.producer.find("a") == nil)
            #expect(try await bench.producer.remove("a", data: known.data))
            #expect(try await bench.take() == nil)
            #expect(try await bench.send("ZCARD", bench.base + "delayed") == .integer(0))
            #expect(try await bench.send("ZCARD", bench.base + "prioritized") == .integer(0))
            #expect(try await bench.events().count { $0.hasPrefix("event removed") } == 1)
        }
    }
}
