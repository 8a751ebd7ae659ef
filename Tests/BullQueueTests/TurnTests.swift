import FunctionKit
import RedisClient
import Testing

@testable import BullQueue

/// In which order the jobs of several owners are taken.
@Suite struct TurnTests {
    @Test func `owners take turns, in the order of their first jobs`() async throws {
        try await TurnBench.with { bench in
            try await bench.add("a", 1...4)
            try await bench.add("b", 1...3)
            try await bench.add("c", 1...1)
            #expect(try await bench.priority("a4") == "4")
            #expect(try await bench.priority("c1") == "1")
            #expect(try await bench.drain() == ["a1", "b1", "c1", "a2", "b2", "a3", "b3", "a4"])
        }
    }

    @Test func `one job comes soon after many of another owner, however many were worked`() async throws {
        try await TurnBench.with { bench in
            try await bench.add("a", 1...200)
            for id in try await bench.take(50) { try await bench.finish(id) }
            try await bench.add("b", 1...1)
            #expect(try await bench.take(3) == ["a51", "b1", "a52"])
            // Who was away has saved nothing up.
            try await bench.add("b", 2...5)
            #expect(try await bench.take(6) == ["a53", "b2", "a54", "b3", "a55", "b4"])
        }
    }

    @Test func `jobs without an owner come first and cost nothing`() async throws {
        try await TurnBench.with { bench in
            _ = try await bench.producer.add("n", data: "{}", options: JobOptions(id: "plain"))
            #expect(try await bench.fixture.strings("KEYS", "bull:q:fair*").isEmpty)
            try await bench.add("a", 1...1)
            _ = try await bench.producer.add("n", data: "{}", options: JobOptions(id: "other"))
            #expect(try await bench.take(3, bound: 1) == ["plain", "other", "a1"])
            let ttl = try await bench.fixture.call("PTTL", "bull:q:fair-time").integer ?? 0
            #expect(ttl > 600_000_000)
        }
    }

    @Test func `owners that wait for nothing take no memory`() async throws {
        try await TurnBench.with { bench in
            for number in 1...20 { try await bench.add("owner\(number)-", 1...1) }
            #expect(try await bench.fixture.count("fair") == 20)
            _ = try await bench.drain()
            try await bench.add("last", 1...1)
            #expect(try await bench.fixture.strings("ZRANGE", "bull:q:fair", "0", "-1") == ["o:last"])
        }
    }

    @Test(arguments: [nil, 1])
    func `a further attempt waits neither for all of its owner's jobs nor goes before others'`(
        delayMs: Int?
    ) async throws {
        try await TurnBench.with { bench in
            try await bench.add("a", 1...20, attempts: 3)
            try await bench.add("b", 1...2)
            let first = try await bench.take(3)
            #expect(first == ["a1", "b1", "a2"])
            for id in ["a1", "a2"] { try await bench.fail(id, delayMs: delayMs) }
            if delayMs != nil { try await bench.promoteDue(2) }
            let next = try await bench.take(8)
            // Both have failed at once, and come in two turns.
            #expect(next.prefix(2).contains("b2") || next.prefix(3).contains("b2"))
            let (again, later) = (try #require(next.firstIndex(of: "a1")), try #require(next.firstIndex(of: "a2")))
            #expect(again < later && later < 6, "\(next)")
        }
    }

    @Test func `many failed attempts of one owner do not hold up another one's job`() async throws {
        try await TurnBench.with { bench in
            try await bench.add("a", 1...60, attempts: 3)
            for id in try await bench.take(50) { try await bench.fail(id, delayMs: 1) }
            try await bench.promoteDue(50)
            try await bench.add("b", 1...1)
            #expect(try await bench.take(4).contains("b1"))
        }
    }

    @Test func `a job that is queued once more has a new turn`() async throws {
        try await TurnBench.with { bench in
            try await bench.add("a", 1...3)
            #expect(try await bench.take(1) == ["a1"])
            try await bench.finish("a1")
            let options = JobOptions(owner: "a")
            #expect(try await bench.producer.requeue("a1", name: "n", data: "{}", options: options) == .requeued)
            #expect(
                try await bench.producer.requeue("b1", name: "n", data: "{}", options: JobOptions(owner: "b")) == .added
            )
            #expect(try await bench.fixture.hash("b1")["owner"] == "b")
            #expect(try await bench.drain() == ["a2", "b1", "a3", "a1"])
        }
    }

    @Test func `turns begin anew before BullMQ's priorities are used up, and order and fairness stay`() async throws {
        try await TurnBench.with { bench in
            try await bench.fixture.call("SET", "bull:q:fair-time", "1048500")
            try await bench.add("a", 1...100)
            try await bench.add("b", 1...2)
            _ = try await bench.producer.add("n", data: "{}", options: JobOptions(id: "foreign", priority: 2_000_000))
            #expect(try await bench.priority("a100") == "1048600")
            let begun = try await bench.take(80)
            #expect(begun.last == "a78")
            let held = begun.last ?? ""
            try await bench.add("c", 1...1)
            #expect(try await bench.priority("c1") == "1")
            #expect(try await bench.priority("a79") == "1")
            #expect(try await bench.priority("a100") == "22")
            #expect(try await bench.priority("foreign") == "2000000")
            // What is handed back has its place in front, by the new count.
            let reply = try await bench.fixture.client.evaluate(
                BullScripts.handBackJob, keys: ["bull:q:"], arguments: [held, "t", "0"])
            #expect(reply.integer == 0)
            try await bench.add("a", 101...101)
            #expect(try await bench.priority("a101") == "23")
            let rest = try await bench.drain()
            #expect(rest.prefix(4) == ["a78", "a79", "c1", "a80"] && rest.suffix(2) == ["a101", "foreign"], "\(rest)")
        }
    }

    @Test func `the highest priority is never exceeded`() async throws {
        try await TurnBench.with { bench in
            try await bench.fixture.call("ZADD", "bull:q:fair", "2097150", "o:a")
            try await bench.add("a", 1...3)
            #expect(try await bench.priority("a1") == "2097151")
            #expect(try await bench.priority("a3") == "2097151")
            #expect(try await bench.drain() == ["a1", "a2", "a3"])
        }
    }

    @Test func `after the counts were lost new jobs join those that wait`() async throws {
        try await TurnBench.with { bench in
            try await bench.add("a", 1...30)
            for id in try await bench.take(20) { try await bench.finish(id) }
            try await bench.fixture.call("DEL", "bull:q:fair", "bull:q:fair-time")
            try await bench.add("b", 1...1)
            #expect(try await bench.take(2) == ["a21", "b1"])
        }
    }
}
