import FunctionKit
import RedisClient
import Testing

@testable import BullQueue

/// How many of one owner's jobs are taken at once, and what becomes of the others.
@Suite struct ParkingTests {
    @Test func `an owner's jobs beyond the bound are parked and started in turn when one ends`() async throws {
        try await TurnBench.with { bench in
            try await bench.add("a", 1...10)
            try await bench.add("b", 1...1)
            #expect(try await bench.take(5, bound: 2) == ["a1", "b1", "a2"])
            #expect(try await bench.fixture.counts("active", "prioritized", "delayed") == [3, 0, 8])
            #expect(try await bench.take(5, bound: 2) == [])
            #expect(try await bench.producer.find("a7")?.state == .waiting)
            #expect(try await bench.finish("a2", taking: 1, bound: 2) == ["a3"])
            #expect(try await bench.fixture.hash("a3")["delay"] == "0")
            #expect(try await bench.fixture.hash("a3")["parked"] == nil)
            let events = try await bench.fixture.events()
            #expect(events.suffix(2) == ["waiting jobId a3 prev delayed", "active jobId a3 prev waiting"])
            #expect(events.contains { $0.hasPrefix("delayed jobId a3 delay ") })
            // Another bound, or none any more.
            #expect(try await bench.take(2, bound: 3) == ["a4"])
            #expect(try await bench.take(9) == (5...10).map { "a\($0)" })
            for id in try await bench.fixture.strings("LRANGE", "bull:q:active", "0", "-1") {
                try await bench.finish(id)
            }
            #expect(try await bench.fixture.strings("KEYS", "bull:q:parked*").isEmpty)
            #expect(try await bench.fixture.counts("completed", "delayed") == [11, 0])
        }
    }

    @Test func `a bound keeps turns, also of who had to wait for a place`() async throws {
        try await TurnBench.with { bench in
            try await bench.add("a", 1...6)
            #expect(try await bench.take(4, bound: 1) == ["a1"])
            // Meanwhile others have many turns.
            try await bench.add("b", 1...30)
            for _ in 1...20 {
                for id in try await bench.take(1, bound: 1) { try await bench.finish(id) }
            }
            // They meet where they are: nothing is owed for the wait.
            try await bench.add("c", 1...3)
            try await bench.finish("a1")
            var order: [String] = []
            for _ in 1...9 {
                let id = try #require(try await bench.take(1, bound: 1).first)
                order.append(id)
                try await bench.finish(id)
            }
            for owner in ["a", "b", "c"] { #expect(order.count { $0.hasPrefix(owner) } == 3, "\(order)") }
            #expect(order.prefix(4).contains("b21") && order.prefix(4).contains("c1"), "\(order)")
        }
    }

    @Test func `many owners at their bounds do not hide one that has a place`() async throws {
        try await TurnBench.with { bench in
            for number in 1...40 { try await bench.add("o\(number)-", 1...3) }
            #expect(try await bench.take(50, bound: 1).count == 40)
            #expect(try await bench.fixture.count("parked") == 40)
            #expect(try await bench.finish("o33-1", taking: 2, bound: 1) == ["o33-2"])
        }
    }

    @Test func `a thousand jobs are parked in steps, each of which wakes the next`() async throws {
        try await TurnBench.with { bench in
            let jobs = (1...1000).map { number in
                BullProducer.NewJob("n", data: "{}", options: BullJobOptions(id: "a\(number)", owner: "a"))
            }
            _ = try await bench.producer.add(jobs)
            try await bench.add("z", 1...1)
            #expect(try await bench.take(1, bound: 1) == ["a1"])
            var steps = 0
            while try await bench.fixture.count("prioritized") > 0 {
                #expect(try await bench.fixture.count("marker") == 1)
                steps += 1
                try #require(steps < 10)
                _ = try await bench.take(2, bound: 1)
            }
            #expect(steps > 3)
            #expect(try await bench.fixture.counts("active", "delayed") == [2, 999])
            #expect(try await bench.finish("a1", taking: 1, bound: 1) == ["a2"])
        }
    }

    @Test func `a lost worker's places are free when its jobs are given back`() async throws {
        try await TurnBench.with { bench in
            try await bench.add("a", 1...6)
            #expect(try await bench.take(4, bound: 2, token: "w:1") == ["a1", "a2"])
            #expect(try await bench.take(4, bound: 2) == [])
            let recovery = try BullRecovery(queue: Fixture.queue, client: bench.fixture.client)
            #expect(try await recovery.giveBackJobs(ofLost: "w").count == 2)
            let again = try await bench.take(4, bound: 2)
            #expect(again.sorted() == ["a1", "a2"])
            // One more than the bound at the head of `wait` is parked like any other, and is the next.
            try await bench.fixture.call("RPUSH", "bull:q:wait", "a9")
            try await bench.fixture.call("HSET", "bull:q:a9", "name", "n", "owner", "a", "priority", "1", "data", "{}")
            #expect(try await bench.take(4, bound: 2) == [])
            #expect(try await bench.finish("a1", taking: 1, bound: 2) == ["a9"])
        }
    }

    @Test func `a job that is to fail needs no place`() async throws {
        try await TurnBench.with { bench in
            try await bench.add("a", 1...2)
            try await bench.fixture.call("HSET", "bull:q:a2", "defa", "job stalled more than allowable limit")
            #expect(try await bench.take(2, bound: 1) == ["a1", "a2"])
        }
    }

    // MARK: Others

    @Test func `what others do to parked jobs is heeded`() async throws {
        try await TurnBench.with { bench in
            try await bench.add("a", 1...8)
            #expect(try await bench.take(2, bound: 1) == ["a1"])
            let control = try bench.fixture.control()
            #expect(try await control.remove(["a2"]).map(\.result) == [.done])
            try await control.changeDelay(of: "a3", to: .seconds(7200))
            #expect(try await bench.producer.remove("a4", data: "{}"))
            #expect(try await control.promote(["a5"]).map(\.result) == [.done])
            // It is met while its owner has no place, and parked again.
            #expect(try await bench.take(1, bound: 1) == [])
            #expect(try await bench.fixture.counts("delayed", "prioritized") == [5, 0])
            #expect(try await bench.finish("a1", taking: 1, bound: 1) == ["a5"])
            #expect(try await bench.finish("a5", taking: 1, bound: 1) == ["a6"])
            // A worker that knows of no bound takes what was promoted.
            #expect(try await control.promote(["a7"]).map(\.result) == [.done])
            #expect(try await bench.take(1, token: "other") == ["a7"])
            #expect(try await bench.finish("a6", taking: 1, bound: 1) == [])
            #expect(try await bench.fixture.strings("LRANGE", "bull:q:active", "0", "-1") == ["a7"])
            #expect(try await bench.fixture.strings("ZRANGE", "bull:q:delayed", "0", "-1") == ["a8", "a3"])
        }
    }

    @Test func `nothing is lost with the notes`() async throws {
        try await TurnBench.with { bench in
            try await bench.add("a", 1...5)
            #expect(try await bench.take(2, bound: 1) == ["a1"])
            try await bench.fixture.call("DEL", "bull:q:parked", "bull:q:parked:a")
            try await bench.finish("a1", taking: 1, bound: 1)
            // The hour is over.
            let later = "\(Timestamp.now.milliseconds + 3_600_001)"
            var order: [String] = []
            for _ in 2...5 {
                let reply = try await bench.fixture.client.evaluate(
                    BullScripts.fetchJobs, keys: ["bull:q:"], arguments: [later, "1:1", "t", "60000", "", "", "", ""])
                let id = try #require(reply.array?.first?.array?.first?.array?.first?.string)
                order.append(id)
                try await bench.finish(id)
            }
            #expect(order == ["a2", "a3", "a4", "a5"])
        }
    }

    @Test func `a supervisor sees that parked jobs can be started when nothing runs`() async throws {
        try await TurnBench.with { bench in
            try await bench.add("a", 1...3)
            #expect(try await bench.take(2, bound: 1) == ["a1"])
            let watch = try BullQueueWatch(queue: Fixture.queue, groups: [])
            var copy = watch
            #expect(try await copy.look(bench.fixture.client).waitingCount == 0)
            try await bench.finish("a1")
            #expect(try await copy.look(bench.fixture.client).hasWork)
        }
    }

    @Test func `nothing is left of an obliterated queue`() async throws {
        try await TurnBench.with { bench in
            try await bench.add("a", 1...5)
            try await bench.add("b", 1...5)
            #expect(try await bench.take(9, bound: 1).count == 2)
            try await bench.fixture.control().obliterate(force: true)
            #expect(try await bench.fixture.strings("KEYS", "bull:q:*").isEmpty)
        }
    }

    @Test func `an owner has a name of bounded length`() async throws {
        try await TurnBench.with { bench in
            for owner in ["", String(repeating: "x", count: 1025)] {
                await #expect(throws: BullError(.invalidOption, "")) {
                    _ = try await bench.producer.add("n", data: "{}", options: JobOptions(owner: owner))
                }
            }
            let odd = "a:b \"ü\"\\\u{1}☃"
            for id in ["first", "second"] {
                _ = try await bench.producer.add("n", data: "{}", options: JobOptions(id: id, owner: odd))
            }
            #expect(try await bench.take(2, bound: 1) == ["first"])
            #expect(try await bench.finish("first", taking: 1, bound: 1) == ["second"])
        }
    }
}
