import BullQueue
import FunctionKit
import Glibc
import NIOCore
import NIOPosix
import RedisClient
import TestSupport
import Testing

@Suite(.serialized) struct WorkerFaultTests {
    @Test func `locks are renewed while handlers block every thread of the pool`() async throws {
        try await Fixture.with { fixture in
            let threads = sysconf(Int32(_SC_NPROCESSORS_ONLN))
            _ = try await fixture.producer().add((0..<threads).map { .init("n", data: "\($0)") })
            let starts = Record<String>()
            let worker = try fixture.worker {
                ($0.concurrency, $0.lockDuration) = (threads, .milliseconds(1500))
                ($0.stalledCheckInterval, $0.stalledCheckGate) = (.milliseconds(100), .milliseconds(90))
            } handler: { job, _ in
                starts.append(job.id)
                usleep(2_500_000)
                return .completed("null")
            }
            try await fixture.running(worker) {
                try await eventually("all completed") { try await fixture.count("completed") == threads }
            }
            #expect(starts.count == threads)
            for id in starts.all {
                let hash = try await fixture.hash(id)
                #expect(hash["ats"] == "1" && hash["stc"] == nil)
            }
        }
    }

    @Test func `a stolen lock cancels the job and its outcome is dropped`() async throws {
        try await Fixture.with { fixture in
            _ = try await fixture.producer().add("n", data: "{}", options: .init())
            let cancelled = Record<Bool>()
            let worker = try fixture.worker {
                $0.lockDuration = .milliseconds(400)
            } handler: { job, control in
                _ = try? await fixture.call("SET", "bull:q:\(job.id):lock", "another", "PX", "60000")
                try? await Task.sleep(for: .seconds(20))
                cancelled.append(control.isLockLost)
                do throws(BullError) {
                    try await control.updateProgress("1")
                } catch {
                    cancelled.append(error.code == .lockLost)
                }
                return .completed("1")
            }
            try await fixture.running(worker) {
                try await eventually("the handler was cancelled") { cancelled.count == 2 }
            }
            #expect(cancelled.all == [true, true])
            #expect(try await fixture.counts("active", "completed") == [1, 0])
            #expect(try await fixture.hash("1")["returnvalue"] == nil)
            #expect(try await fixture.call("GET", "bull:q:1:lock").string == "another")
        }
    }

    @Test func `a lock stolen unnoticed makes the finish a refusal`() async throws {
        try await Fixture.with { fixture in
            _ = try await fixture.producer().add("n", data: "{}", options: .init(attempts: 2))
            _ = try await fixture.producer().add("n", data: "{}", options: .init())
            let worker = try fixture.worker { job, _ in
                if job.id == "1" { _ = try? await fixture.call("SET", "bull:q:1:lock", "another") }
                return job.id == "1" ? .failed(reason: "x") : .completed("1")
            }
            try await fixture.running(worker) {
                try await eventually("the other one completed") { try await fixture.hash("2")["finishedOn"] != nil }
            }
            let hash = try await fixture.hash("1")
            #expect(hash["atm"] == nil && hash["failedReason"] == nil)
            #expect(try await fixture.count("active") == 1)
        }
    }

    @Test func `a job of a vanished worker runs again, and fails beyond its stall limit`() async throws {
        try await Fixture.with { fixture in
            _ = try await fixture.producer().add("n", data: "{}", options: .init(attempts: 5))
            let starts = Record<Int>()
            let worker = try fixture.worker {
                $0.lockDuration = .seconds(60)
                ($0.stalledCheckInterval, $0.stalledCheckGate) = (.milliseconds(100), .milliseconds(80))
            } handler: { job, control in
                starts.append(job.attemptsStarted)
                // As if the process had died: the lock lapses and nobody renews it.
                _ = try? await fixture.call("DEL", "bull:q:\(job.id):lock")
                try? await eventually("given back") { (try? await fixture.hash("1")["stc"]) == "\(starts.count)" }
                return .completed("null")
            }
            try await fixture.running(worker) {
                try await eventually("failed") { try await fixture.count("failed") == 1 }
            }
            let hash = try await fixture.hash("1")
            #expect(hash["failedReason"] == "job stalled more than allowable limit")
            #expect(hash["stc"] == "2" && hash["ats"] == "3" && hash["atm"] == "1" && hash["defa"] == nil)
            #expect(starts.all == [1, 2])
            let tail = try await fixture.events().filter { !$0.hasPrefix("added") }
            #expect(
                tail == [
                    "waiting jobId 1", "active jobId 1 prev waiting", "waiting jobId 1 prev active", "stalled jobId 1",
                    "active jobId 1 prev waiting", "waiting jobId 1 prev active", "stalled jobId 1",
                    "active jobId 1 prev waiting",
                    "failed jobId 1 failedReason job stalled more than allowable limit prev active", "drained",
                ])
        }
    }

    @Test func `a lock that lapsed during an outage is taken again when nobody else has the job`() async throws {
        try await Fixture.with { fixture in
            _ = try await fixture.producer().add("n", data: "{}", options: .init())
            let worker = try fixture.worker {
                ($0.lockDuration, $0.stalledCheckInterval) = (.milliseconds(400), .seconds(60))
            } handler: { job, control in
                let token = try? await fixture.call("GETDEL", "bull:q:1:lock")
                try? await eventually("taken again") { try await fixture.call("GET", "bull:q:1:lock") == token }
                return .completed("null")
            }
            try await fixture.running(worker) {
                try await eventually("completed") { try await fixture.count("completed") == 1 }
            }
            #expect(try await fixture.hash("1")["ats"] == "1")
        }
    }

    @Test func `an outcome is told although the lock lapsed, when nobody else has the job`() async throws {
        try await Fixture.with { fixture in
            for _ in 0..<3 { _ = try await fixture.producer().add("n", data: "{}", options: .init(attempts: 2)) }
            let worker = try fixture.worker {
                $0.stalledCheckInterval = .seconds(60)
            } handler: { job, _ in
                _ = try? await fixture.call("DEL", "bull:q:\(job.id):lock")
                if job.id == "2" {
                    // Another worker has it: started again, its lock lapsed as well.
                    _ = try? await fixture.call("HINCRBY", "bull:q:2", "ats", "1")
                }
                return job.id == "3" && job.attempt == 1 ? .failed(reason: "no") : .completed("null")
            }
            try await fixture.running(worker) {
                try await eventually("completed") { try await fixture.count("completed") == 2 }
            }
            #expect(try await fixture.strings("ZRANGE", "bull:q:completed", "0", "-1") == ["1", "3"])
            #expect(try await fixture.strings("LRANGE", "bull:q:active", "0", "-1") == ["2"])
            #expect(try await fixture.hash("3")["atm"] == "2")
        }
    }

    @Test func `redis is killed and started again and every job ends once`() async throws {
        try await Fixture.with(appendOnly: true) { fixture in
            _ = try await fixture.producer().add((0..<300).map { .init("n", data: "\($0)") })
            let seen = Record<String>()
            let worker = try fixture.worker {
                $0.concurrency = 8
            } handler: { job, _ in
                seen.append(job.id)
                try? await Task.sleep(for: .milliseconds(10))
                return .completed("null")
            }
            try await fixture.running(worker) {
                for round in 1...3 {
                    try await eventually("under way") { seen.count >= round * 60 }
                    fixture.redis.kill()
                    try fixture.redis.start()
                }
                try await eventually("all completed") { (try? await fixture.count("completed")) == 300 }
            }
            #expect(Set(seen.all).count == 300)
            #expect(seen.count == 300)
            #expect(try await fixture.count("active") == 0)
            for id in 1...300 { #expect(try await fixture.hash("\(id)")["ats"] == "1") }
        }
    }

    @Test func `a shutdown lets jobs end within the grace time and hands the others back`() async throws {
        try await Fixture.with { fixture in
            for priority in [0, 0, 7] {
                _ = try await fixture.producer().add("n", data: "{}", options: .init(priority: priority))
            }
            _ = try await fixture.producer().add("late", data: "{}", options: .init())
            let started = Record<String>()
            let ended = Record<String>()
            let worker = try fixture.worker {
                $0.concurrency = 3
            } handler: { job, _ in
                started.append(job.id)
                if job.id == "1" {
                    try? await eventually("shutting down") { started.count == 3 }
                    try? await Task.sleep(for: .milliseconds(100))
                } else {
                    do {
                        try await Task.sleep(for: .seconds(60))
                    } catch {
                        ended.append(job.id)
                        return .failed(reason: "cancelled")
                    }
                }
                return .completed("null")
            }
            let run = Task { try await worker.run() }
            try await eventually("running") { started.count == 3 }
            worker.shutdown(grace: .seconds(1))
            try await run.value
            #expect(started.count == 3)
            #expect(try await fixture.counts("completed", "active") == [1, 0])
            let handedBack = Set(started.all).subtracting(["1"])
            #expect(Set(ended.all) == handedBack)
            for id in handedBack {
                let hash = try await fixture.hash(id)
                #expect(hash["atm"] == nil && hash["ats"] == "1" && hash["failedReason"] == nil)
            }
            #expect(try await fixture.strings("KEYS", "*:lock").isEmpty)
            // The job with a priority is in front of its class, those without at the head of the queue.
            #expect(try await fixture.counts("wait", "prioritized").reduce(0, +) == 3)
        }
    }

    @Test func `cancelling the run is a shutdown, also with a handler that does not end`() async throws {
        try await Fixture.with { fixture in
            _ = try await fixture.producer().add("n", data: "{}", options: .init(priority: 7))
            let started = Record<String>()
            let worker = try fixture.worker {
                $0.shutdownGrace = .zero
            } handler: { job, _ in
                started.append(job.id)
                // Ignores its cancellation for longer than the worker waits.
                let end = ContinuousClock.now + .seconds(5)
                while ContinuousClock.now < end { await Task.yield() }
                return .completed("null")
            }
            let run = Task { try await worker.run() }
            try await eventually("running") { started.count == 1 }
            run.cancel()
            try await run.value
            #expect(try await fixture.call("ZSCORE", "bull:q:prioritized", "1").string == "30064771072")
            #expect(try await fixture.count("active") == 0)
        }
    }

    @Test func `an idle worker ends at once, and so does one whose client is closed`() async throws {
        try await Fixture.with { fixture in
            let worker = try fixture.worker({ $0.drainDelay = .seconds(60) }) { _, _ in .handBack }
            let run = Task { try await worker.run() }
            try await eventually("it waits") {
                (try await fixture.call("CLIENT", "LIST").string ?? "").contains("cmd=bzpopmin")
            }
            let clients = try await fixture.call("CLIENT", "LIST").string ?? ""
            #expect(clients.contains("name=bull:cQ== "))
            let start = ContinuousClock.now
            worker.shutdown(grace: .seconds(60))
            try await run.value
            #expect(ContinuousClock.now - start < .seconds(5))

            let client = try Fixture.newClient(fixture.redis, fixture.logger)
            let other = try fixture.worker({ $0.drainDelay = .milliseconds(50) }, client: client) { _, _ in .handBack }
            let second = Task { try await other.run() }
            try await eventually("it works") {
                (try await fixture.call("CLIENT", "LIST").string ?? "").contains("cmd=bzpopmin")
            }
            await client.close()
            await #expect(throws: BullError(.redis, "")) { try await second.value }
        }
    }

    @Test func `an idle worker ends soon although the server is away`() async throws {
        try await Fixture.with { fixture in
            let worker = try fixture.worker { _, _ in .completed("null") }
            async let ended: Void = worker.run()
            _ = try await fixture.producer().add("n", data: "{}", options: .init())
            try await eventually("it works") { try await fixture.count("completed") == 1 }
            fixture.redis.kill()
            // By then it has asked for work in vain, and cannot know whether the server had given it some.
            try await Task.sleep(for: .seconds(2))
            let stopped = ContinuousClock.now
            worker.shutdown(grace: .seconds(60))
            try await ended
            #expect(ContinuousClock.now - stopped < .seconds(20))
        }
    }

    @Test func `what a lost reply told of is handed out again under its token`() async throws {
        try await Fixture.with { fixture in
            _ = try await fixture.producer().add((0..<3).map { .init("n", data: "\($0)") })
            // The server is frozen while the fetch is on its way: it is carried out, but its reply comes too late.
            var configuration = try RedisConfiguration(url: "unix:" + fixture.redis.socket)
            configuration.commandTimeout = .milliseconds(300)
            let client = RedisClient(configuration, group: .singleton, logger: fixture.logger)
            let worker = try fixture.worker({ $0.concurrency = 3 }, client: client) { _, _ in .completed("null") }
            try await client.check()
            try await fixture.call("CLIENT", "PAUSE", "700", "WRITE")
            try await fixture.running(worker) {
                try await eventually("all completed") { try await fixture.count("completed") == 3 }
            }
            for id in 1...3 {
                let hash = try await fixture.hash("\(id)")
                #expect(hash["ats"] == "1" && hash["stc"] == nil)
            }
            await client.close()
        }
    }
}
