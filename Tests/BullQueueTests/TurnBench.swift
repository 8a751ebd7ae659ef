import FunctionKit
import RedisClient
import Testing

@testable import BullQueue

/// Does to a queue by hand what producers and workers do.
struct TurnBench {
    let fixture: Fixture
    let producer: BullProducer

    /// Adds jobs `<owner>1`, `<owner>2` and so on.
    func add(_ owner: String, _ numbers: ClosedRange<Int>, attempts: Int = 1) async throws {
        for number in numbers {
            let options = JobOptions(id: "\(owner)\(number)", attempts: attempts, owner: owner)
            _ = try await producer.add("n", data: "{}", options: options)
        }
    }

    /// Takes jobs, as a worker does that lets `bound` of each owner's run.
    @discardableResult
    func take(_ count: Int, bound: Int? = nil, token: String = "t", lockMs: Int = 60_000) async throws -> [String] {
        let wanted = "\(count)" + (bound.map { ":\($0)" } ?? "")
        let reply = try await fixture.client.evaluate(
            BullScripts.fetchJobs, keys: ["bull:q:"],
            arguments: [
                "\(Timestamp.now.milliseconds)", wanted, token, "\(lockMs)", "", "", "", "",
            ])
        return reply.array?.first?.array?.compactMap { $0.array?.first?.string } ?? []
    }

    /// Ends a job, as a worker does, and takes as many.
    @discardableResult
    func finish(_ id: String, taking count: Int = 0, bound: Int? = nil) async throws -> [String] {
        let wanted = "\(count)" + (bound.map { ":\($0)" } ?? "")
        let reply = try await fixture.client.evaluate(
            BullScripts.finishJobs, keys: ["bull:q:"],
            arguments: [
                "\(Timestamp.now.milliseconds)", wanted, "t", "60000", "", "", "", id, "t", "completed", "1", "1",
                "",
            ])
        let parts = reply.array ?? []
        #expect(parts.first?.array?.compactMap(\.integer) == [0])
        return parts[1].array?.compactMap { $0.array?.first?.string } ?? []
    }

    /// Fails an attempt, as a worker does.
    func fail(_ id: String, delayMs: Int? = nil) async throws {
        let now = "\(Timestamp.now.milliseconds)"
        let script = delayMs == nil ? BullScripts.retryJob : BullScripts.delayJob
        let last = delayMs.map { ["\($0)", "no", "[]"] } ?? ["no", "[]", ""]
        let reply = try await fixture.client.evaluate(
            script, keys: ["bull:q:"], arguments: [now, id, "t"] + last)
        #expect(reply.integer == 0)
    }

    /// Waits until a delayed job is due, and promotes all that are.
    func promoteDue(_ count: Int) async throws {
        try await eventually("the delayed jobs are due") {
            let bound = "\((Timestamp.now.milliseconds + 1) * 4096 - 1)"
            return try await fixture.call("ZCOUNT", "bull:q:delayed", "-inf", bound).integer == Int64(count)
        }
        #expect(try await take(0) == [])
    }

    func drain(bound: Int? = nil) async throws -> [String] {
        var order: [String] = []
        while let id = try await take(1, bound: bound).first {
            order.append(id)
            try await finish(id)
        }
        return order
    }

    func priority(_ id: String) async throws -> String? { try await fixture.hash(id)["priority"] }

    static func with(_ body: (TurnBench) async throws -> Void) async throws {
        try await Fixture.with { fixture in
            try await body(TurnBench(fixture: fixture, producer: try fixture.producer()))
        }
    }
}
