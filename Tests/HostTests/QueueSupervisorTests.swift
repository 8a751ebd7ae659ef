import BullQueue
import Foundation
import FunctionKit
import Logging
import NIOCore
import NIOPosix
import RedisClient
import ServiceLifecycle
import Synchronization
import TestSupport
import Testing

@testable import Host

/// The supervisor against a real server, with processes that are only counted.
@Suite(.serialized) struct QueueSupervisorTests {
    /// Processes that exist by name alone; each `ensure` of a start is noted with its time.
    private final class Processes: FunctionProcesses {
        struct Start: Sendable {
            let function: String
            let at: ContinuousClock.Instant
        }

        private struct State {
            var running: [String: Int] = [:]
            var starts: [Start] = []
        }

        private let state = Mutex(State())
        let limit: Int

        init(limit: Int) { self.limit = limit }

        var starts: [Start] { state.withLock { $0.starts } }

        func count(_ function: String) -> Int { starts.count { $0.function == function } }

        func ensure(_ function: String, processes: Int) async {
            state.withLock { state in
                while state.running[function, default: 0] < min(processes, limit) {
                    state.running[function, default: 0] += 1
                    state.starts.append(Start(function: function, at: .now))
                }
            }
        }

        func running(_ function: String) -> Int { state.withLock { $0.running[function] ?? 0 } }

        func end(_ function: String) { state.withLock { $0.running[function, default: 0] -= 1 } }
    }

    private struct Bench: Sendable {
        let redis: RedisServer
        let client: RedisClient
        let processes: Processes
        let supervisor: QueueSupervisor

        func producer(_ queue: String = "q") throws -> BullProducer {
            try BullProducer(queue: queue, client: client, policy: .init(attempts: 1, backoff: nil))
        }

        func call(_ command: String...) async throws -> RESPValue { try await client.send(RedisCommand(command)) }

        /// Takes jobs and is gone.
        func take(_ count: Int, by id: String) async throws {
            let taken = Shared(0)
            var options = BullWorkerOptions()
            (options.id, options.concurrency, options.lockDuration) = (id, count, .seconds(60))
            options.shutdownGrace = .zero
            let other = try QueueRedis.client(redis)
            let worker = try BullWorker(
                queue: "q", options: options, client: other, lockLoop: MultiThreadedEventLoopGroup.singleton.next(),
                logger: QueueRedis.logger
            ) { _, _ in
                taken.update { $0 += 1 }
                try? await Task.sleep(for: .seconds(3600))
                return .handBack
            }
            let task = Task { try? await worker.run() }
            try await QueueRedis.eventually("taken") { taken.value == count }
            // Its connection goes underneath, as with a process that was killed.
            await other.close()
            task.cancel()
            await task.value
        }
    }

    private static let manifests: [String: FunctionManifest] = [
        "work": FunctionManifest(trigger: .queue(name: "q", on: .process), concurrency: 2),
        "done": FunctionManifest(trigger: .queue(name: "q", on: .completed)),
        "bad": FunctionManifest(trigger: .queue(name: "q", on: .failed)),
        "tick": FunctionManifest(trigger: .schedule(pattern: "*/2 * * * * *", timeZone: "UTC")),
        "page": FunctionManifest(trigger: .http(method: "GET", path: "/page")),
    ]

    private func with(
        _ names: Set<String>, limit: Int = 3, _ change: (inout Configuration.Queue) -> Void = { _ in },
        _ body: (Bench) async throws -> Void
    ) async throws {
        let redis = try RedisServer()
        defer { redis.remove() }
        let client = try QueueRedis.client(redis)
        try await QueueRedis.eventually("the server answers") { (try? await client.check()) != nil }
        var settings = Configuration.Queue()
        settings.scheduleCheck = .milliseconds(300)
        change(&settings)
        let processes = Processes(limit: limit)
        let supervisor = try QueueSupervisor(
            QueueSupervisorTests.manifests.filter { names.contains($0.key) }, settings: settings, client: client,
            loop: MultiThreadedEventLoopGroup.singleton.next(), logger: QueueRedis.logger)
        let task = Task { try await supervisor.service(for: processes).run() }
        let result: Result<Void, any Error>
        do {
            result = .success(
                try await body(
                    Bench(redis: redis, client: client, processes: processes, supervisor: supervisor)))
        } catch {
            result = .failure(error)
        }
        task.cancel()
        try await task.value
        await client.close()
        try result.get()
    }

    /// Waits until the supervisor listens, so that what follows is a wake-up.
    private func listening(_ bench: Bench) async throws {
        try await QueueRedis.eventually("the supervisor listens") {
            let clients = try await bench.call("CLIENT", "LIST").string ?? ""
            return clients.split(separator: "\n").contains { $0.contains("cmd=xread") && $0.contains("flags=b") }
        }
    }

    @Test func `a job wakes its function at once and its marker stays`() async throws {
        try await with(["work", "page"]) { bench in
            try await listening(bench)
            #expect(bench.processes.starts.isEmpty)
            let began = ContinuousClock.now
            _ = try await bench.producer().add("n", data: "{}", options: .init())
            try await QueueRedis.eventually("it is started") { bench.processes.count("work") == 1 }
            #expect(bench.processes.starts[0].at - began < .milliseconds(500))
            #expect(try await bench.call("ZCARD", "bull:q:marker").integer == 1)
            #expect(try await bench.call("LLEN", "bull:q:wait").integer == 1)
        }
    }

    @Test func `a delayed job wakes its function in time, not before`() async throws {
        try await with(["work"]) { bench in
            try await listening(bench)
            let began = ContinuousClock.now
            _ = try await bench.producer().add("n", data: "{}", options: .init(delay: .milliseconds(1500)))
            try await QueueRedis.eventually("it is started") { bench.processes.count("work") == 1 }
            let after = bench.processes.starts[0].at - began
            #expect(after >= .milliseconds(1390) && after < .milliseconds(2000))
        }
    }

    @Test func `processes are added while all are full, up to the limit`() async throws {
        try await with(["work"], limit: 2) { bench in
            for _ in 0..<12 { _ = try await bench.producer().add("n", data: "{}", options: .init()) }
            try await QueueRedis.eventually("one") { bench.processes.count("work") == 1 }
            try await bench.take(2, by: "a")
            try await QueueRedis.eventually("two") { bench.processes.count("work") == 2 }
            try await bench.take(2, by: "b")
            // Asked for again and again, and bounded by the processes' limit.
            try await Task.sleep(for: .milliseconds(700))
            #expect(bench.processes.count("work") == 2)
        }
    }

    @Test func `the jobs of a process that ended are given back, and worked again`() async throws {
        try await with(["work"]) { bench in
            for _ in 0..<2 { _ = try await bench.producer().add("n", data: "{}", options: .init()) }
            try await QueueRedis.eventually("one") { bench.processes.count("work") == 1 }
            try await bench.take(2, by: "a")
            #expect(try await bench.call("LLEN", "bull:q:active").integer == 2)
            bench.processes.end("work")
            let began = ContinuousClock.now
            await bench.supervisor.processEnded(function: "work", workerToken: "a", wasCrash: true)
            await bench.supervisor.processEnded(function: "page", workerToken: "b", wasCrash: true)
            try await QueueRedis.eventually("another one") { bench.processes.count("work") == 2 }
            #expect(ContinuousClock.now - began < .seconds(1))
            #expect(try await bench.call("LLEN", "bull:q:wait").integer == 2)
            #expect(try await bench.call("HGET", "bull:q:1", "stc").string == "1")
        }
    }

    @Test func `what strangers have left is checked for while no process lives`() async throws {
        try await with(["work"]) {
            ($0.stalledCheck, $0.stalledGate) = (.milliseconds(200), .milliseconds(100))
        } _: { bench in
            _ = try await bench.producer().add("n", data: "{}", options: .init())
            try await QueueRedis.eventually("one") { bench.processes.count("work") == 1 }
            try await bench.take(1, by: "stranger")
            bench.processes.end("work")
            _ = try await bench.call("DEL", "bull:q:1:lock")
            try await QueueRedis.eventually("given back") { bench.processes.count("work") == 2 }
            #expect(try await bench.call("HGET", "bull:q:1", "stc").string == "1")
        }
    }

    @Test func `each event wakes only the functions that want it`() async throws {
        try await with(["done", "bad"]) { bench in
            try await listening(bench)
            for kind in ["added", "waiting", "active", "progress", "completed"] {
                _ = try await bench.call("XADD", "bull:q:events", "*", "event", kind, "jobId", "1")
            }
            try await QueueRedis.eventually("woken") { bench.processes.count("done") == 1 }
            #expect(bench.processes.count("bad") == 0)
            _ = try await bench.call("XADD", "bull:q:events", "*", "event", "failed", "jobId", "1")
            try await QueueRedis.eventually("woken") { bench.processes.count("bad") == 1 }
        }
    }

    @Test func `events of a reader that ended are given again at once`() async throws {
        try await with(["done"]) { bench in
            // In one step, so that nothing is seen unread.
            let given = """
                redis.call('XGROUP', 'CREATE', KEYS[1], 'ferry-done', '0', 'MKSTREAM')
                redis.call('XADD', KEYS[1], '*', 'event', 'completed', 'jobId', '1')
                redis.call('XREADGROUP', 'GROUP', 'ferry-done', 'r', 'STREAMS', KEYS[1], '>')
                """
            _ = try await bench.call("EVAL", given, "1", "bull:q:events")
            await bench.supervisor.processEnded(function: "done", workerToken: "r", wasCrash: true)
            try await QueueRedis.eventually("woken") { bench.processes.count("done") == 1 }
            let pending = try await bench.call("XPENDING", "bull:q:events", "ferry-done", "-", "+", "9")
            let idle = try #require(pending.array?.first?.array?[2].integer)
            #expect(idle >= 160_000)
        }
    }

    @Test func `a schedule is kept, and each of its times wakes its function`() async throws {
        try await with(["tick"]) { bench in
            try await QueueRedis.eventually("woken") { bench.processes.count("tick") == 1 }
            let due = try #require(try await bench.call("ZSCORE", "bull:schedule-tick:repeat", "tick").string)
            let now = Double(Timestamp.now.milliseconds)
            #expect(abs((Double(due) ?? 0) - now) < 1000)
            // What Redis loses is put back.
            bench.processes.end("tick")
            _ = try await bench.call("FLUSHALL")
            try await QueueRedis.eventually("planned") {
                try await bench.call("ZCARD", "bull:schedule-tick:delayed").integer == 1
            }
            try await QueueRedis.eventually("woken again") { bench.processes.count("tick") == 2 }
        }
    }

    @Test func `a server that goes and comes back ends nothing`() async throws {
        try await with(["work"]) { bench in
            try await listening(bench)
            bench.redis.kill()
            await bench.supervisor.processEnded(function: "work", workerToken: "a", wasCrash: true)
            try bench.redis.start()
            try await QueueRedis.eventually("the server answers") { (try? await bench.client.check()) != nil }
            _ = try await bench.producer().add("n", data: "{}", options: .init())
            try await QueueRedis.eventually("woken") { bench.processes.count("work") == 1 }
        }
    }
}
