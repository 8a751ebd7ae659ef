import BullQueue
import FunctionKit
import NIOCore
import RedisClient
import Testing

@Suite(.serialized) struct WorkerTests {
    @Test func `500 jobs at concurrency 8 are each worked exactly once`() async throws {
        try await Fixture.with { fixture in
            let jobs = (0..<500).map { BullProducer.NewJob("n", data: "\($0)") }
            let added = try await fixture.producer().add(jobs)
            #expect(added.map(\.id) == (1...500).map(String.init))
            let seen = Record<String>()
            let most = Record<Int>()
            let running = Record<Int>()
            let worker = try fixture.worker {
                $0.concurrency = 8
            } handler: { job, _ in
                running.append(1)
                most.append(running.all.reduce(0, +))
                await Task.yield()
                seen.append(job.data)
                running.append(-1)
                return .completed(job.data)
            }
            try await fixture.running(worker) {
                try await eventually("all are completed") { try await fixture.count("completed") == 500 }
            }
            #expect(seen.all.sorted() == (0..<500).map(String.init).sorted())
            #expect((2...8).contains(most.all.max() ?? 0))
            #expect(try await fixture.count("active") == 0)
            #expect(try await fixture.strings("KEYS", "*:lock").isEmpty)
            let events = try await fixture.events()
            #expect(events.count { $0.hasPrefix("completed ") } == 500)
            #expect(events.last == "drained")
        }
    }

    @Test func `two workers share a queue and each wakes when there is work`() async throws {
        try await Fixture.with { fixture in
            let seen = Record<String>()
            let handler: BullWorker.Handler = { job, _ in
                seen.append(job.id)
                return .completed("null")
            }
            let a = try fixture.worker({ $0.drainDelay = .seconds(60) }, handler: handler)
            let b = try fixture.worker({ $0.drainDelay = .seconds(60) }, handler: handler)
            try await fixture.running(a, b) {
                for round in 1...20 {
                    for _ in 0..<5 { _ = try await fixture.producer().add("n", data: "{}", options: .init()) }
                    try await eventually("woken by a marker", within: .seconds(10)) { seen.count == round * 5 }
                }
            }
            #expect(Set(seen.all).count == 100)
        }
    }

    @Test func `order is wait first, then priority, then arrival`() async throws {
        try await Fixture.with { fixture in
            let producer = try fixture.producer()
            for (name, priority) in [("p5", 5), ("p1", 1), ("p5b", 5), ("plain", 0)] {
                _ = try await producer.add(name, data: "{}", options: .init(priority: priority))
            }
            _ = try await producer.add([.init("first", data: "{}", options: .init(isLIFO: true))])
            let seen = Record<String>()
            let worker = try fixture.worker { job, _ in
                seen.append(job.name)
                return .completed("null")
            }
            try await fixture.running(worker) { try await eventually("done") { seen.count == 5 } }
            #expect(seen.all == ["first", "plain", "p1", "p5", "p5b"])
        }
    }

    @Test func `a delayed job runs when it is due, not before`() async throws {
        try await Fixture.with { fixture in
            let times = Record<Int64>()
            let worker = try fixture.worker({ $0.drainDelay = .seconds(60) }) { job, _ in
                times.append(Timestamp.now.milliseconds - job.addedAt.milliseconds)
                return .completed("null")
            }
            try await fixture.running(worker) {
                _ = try await fixture.producer().add("n", data: "{}", options: .init(delay: .milliseconds(700)))
                _ = try await fixture.producer().add("n", data: "{}", options: .init(delay: .milliseconds(300)))
                try await eventually("both ran", within: .seconds(10)) { times.count == 2 }
            }
            #expect(times.all[0] >= 300 && times.all[1] >= 700, "\(times.all)")
            #expect(try await fixture.strings("ZRANGE", "bull:q:completed", "0", "-1") == ["2", "1"])
            #expect(try await fixture.hash("1")["delay"] == "0")
        }
    }

    @Test func `a custom id is added once`() async throws {
        try await Fixture.with { fixture in
            let producer = try fixture.producer()
            let options = JobOptions(id: "mine", attempts: 2)
            #expect(try await producer.add("n", data: "1", options: options) == .init(id: "mine", isDuplicate: false))
            #expect(try await producer.add("n", data: "2", options: options) == .init(id: "mine", isDuplicate: true))
            #expect(try await fixture.hash("mine")["data"] == "1")
            #expect(try await fixture.count("wait") == 1)
            await #expect(throws: BullError(.invalidJSON, "")) {
                try await producer.add("n", data: "x", options: .init())
            }
            await #expect(throws: BullError(.invalidName, "")) {
                try await producer.add("n", data: "1", options: .init(id: "1"))
            }
        }
    }

    @Test func `a failed attempt is told in the job's fields and tried again after its back-off`() async throws {
        try await Fixture.with { fixture in
            let options = JobOptions(attempts: 3, backoff: Backoff(.exponential, delay: .milliseconds(100)))
            _ = try await fixture.producer().add("n", data: "{}", options: options)
            let starts = Record<ContinuousClock.Instant>()
            let attempts = Record<Int>()
            let worker = try fixture.worker { job, _ in
                starts.append(.now)
                if attempts.append(job.attempt) < 3 {
                    return .failed(reason: "no \(job.attempt)", stacktrace: ["a", "b"])
                }
                return .completed("3")
            }
            try await fixture.running(worker) {
                try await eventually("completed") { try await fixture.count("completed") == 1 }
            }
            let hash = try await fixture.hash("1")
            #expect(hash["atm"] == "3" && hash["ats"] == "3" && hash["failedReason"] == "no 2")
            #expect(hash["stacktrace"] == #"["a\nb","a\nb"]"# && hash["returnvalue"] == "3" && hash["delay"] == "0")
            #expect(attempts.all == [1, 2, 3])
            #expect(starts.all[1] - starts.all[0] >= .milliseconds(95))
            #expect(starts.all[2] - starts.all[1] >= .milliseconds(195))
        }
    }

    @Test func `a job's own keep rule comes before the worker's`() async throws {
        try await Fixture.with { fixture in
            let producer = try fixture.producer()
            for keep in [KeepRule(count: 0), nil, nil, nil, KeepRule(age: .seconds(3600))] {
                _ = try await producer.add("n", data: "{}", options: .init(keepCompleted: keep))
            }
            let worker = try fixture.worker {
                $0.removeOnComplete = BullKeepRule(count: 2)
            } handler: { _, _ in
                .completed("null")
            }
            try await fixture.running(worker) {
                try await eventually("all ran") { try await fixture.events().count { $0.hasPrefix("completed ") } == 5 }
            }
            #expect(try await fixture.strings("ZRANGE", "bull:q:completed", "0", "-1") == ["3", "4", "5"])
            #expect(try await fixture.call("EXISTS", "bull:q:1", "bull:q:2").integer == 0)
        }
    }

    @Test func `jobs beyond their age go when another finishes`() async throws {
        try await Fixture.with { fixture in
            for id in ["a", "b", "c"] {
                try await fixture.call("HSET", "bull:q:\(id)", "name", "n")
                try await fixture.call("RPUSH", "bull:q:\(id):logs", "line")
                try await fixture.call("ZADD", "bull:q:completed", "1000", id)
            }
            let rule = BullKeepRule(ageSeconds: 60, limit: 2)
            _ = try await fixture.producer().add([.init("n", data: "{}", options: .init(removeOnComplete: rule))])
            let worker = try fixture.worker { _, _ in .completed("null") }
            try await fixture.running(worker) {
                try await eventually("completed") { try await fixture.hash("1")["finishedOn"] != nil }
            }
            #expect(try await fixture.strings("ZRANGE", "bull:q:completed", "0", "-1") == ["c", "1"])
            #expect(try await fixture.call("EXISTS", "bull:q:a", "bull:q:a:logs", "bull:q:b").integer == 0)
        }
    }

    @Test func `a paused queue gives nothing until it is resumed`() async throws {
        try await Fixture.with { fixture in
            try await fixture.call("HSET", "bull:q:meta", "paused", "1")
            let seen = Record<String>()
            let worker = try fixture.worker({ $0.drainDelay = .milliseconds(50) }) { job, _ in
                seen.append(job.id)
                return .completed("null")
            }
            try await fixture.running(worker) {
                _ = try await fixture.producer().add("n", data: "{}", options: .init())
                _ = try await fixture.producer().add("n", data: "{}", options: .init(delay: .milliseconds(1)))
                try await eventually("the delayed one waits too") { try await fixture.count("wait") == 2 }
                #expect(seen.count == 0)
                #expect(try await fixture.call("ZSCORE", "bull:q:marker", "0") == .null)
                try await fixture.call("HDEL", "bull:q:meta", "paused")
                try await eventually("both ran") { seen.count == 2 }
            }
        }
    }

    @Test func `global concurrency holds for all workers and each end lets the next begin`() async throws {
        try await Fixture.with { fixture in
            try await fixture.call("HSET", "bull:q:meta", "concurrency", "2")
            _ = try await fixture.producer().add((0..<12).map { .init("n", data: "\($0)") })
            let most = Record<Int64>()
            let handler: BullWorker.Handler = { _, _ in
                most.append((try? await fixture.count("active")) ?? -1)
                try? await Task.sleep(for: .milliseconds(20))
                return .completed("null")
            }
            let a = try fixture.worker({ ($0.concurrency, $0.drainDelay) = (4, .seconds(30)) }, handler: handler)
            let b = try fixture.worker({ ($0.concurrency, $0.drainDelay) = (4, .seconds(30)) }, handler: handler)
            try await fixture.running(a, b) {
                try await eventually("all ran without waiting for polls", within: .seconds(10)) {
                    try await fixture.count("completed") == 12
                }
            }
            #expect(most.all.max() == 2 && most.all.min() ?? 0 > 0)
        }
    }

    @Test func `a rate limit lets so many start in a window`() async throws {
        try await Fixture.with { fixture in
            _ = try await fixture.producer().add((0..<7).map { .init("n", data: "\($0)") })
            let limit = BullWorkerOptions.RateLimit(max: 3, window: .milliseconds(300))
            let worker = try fixture.worker {
                ($0.concurrency, $0.rateLimit) = (5, limit)
            } handler: { _, _ in
                .completed("null")
            }
            try await fixture.running(worker) {
                try await eventually("all ran", within: .seconds(10)) { try await fixture.count("completed") == 7 }
            }
            var starts: [Int] = []
            for id in 1...7 { starts.append(try #require(Int(try await fixture.hash("\(id)")["processedOn"] ?? ""))) }
            starts.sort()
            #expect(starts[3] - starts[0] >= 250 && starts[6] - starts[3] >= 250, "\(starts)")
        }
    }

    @Test func `a queue's own rate limit comes first`() async throws {
        try await Fixture.with { fixture in
            try await fixture.call("HSET", "bull:q:meta", "max", "2", "duration", "60000")
            _ = try await fixture.producer().add((0..<5).map { .init("n", data: "\($0)") })
            let worker = try fixture.worker {
                $0.concurrency = 5
            } handler: { _, _ in
                .completed("null")
            }
            try await fixture.running(worker) {
                try await eventually("two ran") { try await fixture.count("completed") == 2 }
                #expect(try await fixture.count("wait") == 3)
                try await fixture.call("HDEL", "bull:q:meta", "max")
            }
            #expect(try await fixture.call("PTTL", "bull:q:limiter").integer ?? 0 > 50_000)
        }
    }

    @Test func `ids without a job and jobs that cannot be read do not stop a worker`() async throws {
        try await Fixture.with { fixture in
            try await fixture.call("HSET", "bull:q:o", "name", "n", "opts", "no json", "timestamp", "x")
            try await fixture.call("HSET", "bull:q:d", "name", "n", "data", "no json", "atm", "x", "ats", "x")
            try await fixture.call("SET", "bull:q:s", "a string")
            try await fixture.call("HSET", "bull:q:h", "delay", "0")
            try await fixture.call("LPUSH", "bull:q:wait", "o", "ghost", "d", "0:0", "s", "h")
            try await fixture.call("ZADD", "bull:q:delayed", "1", "ghost2", "2", "s")
            _ = try await fixture.producer().add("n", data: "1", options: .init())
            let seen = Record<String>()
            let worker = try fixture.worker { job, _ in
                seen.append(job.data)
                return .completed("null")
            }
            try await fixture.running(worker) {
                try await eventually("the good one ran") { try await fixture.hash("1")["finishedOn"] != nil }
                try await eventually("nothing is left") {
                    try await fixture.counts("wait", "active") == [0, 0]
                }
            }
            #expect(seen.all == ["no json", "1"])
            #expect(try await fixture.hash("o")["failedReason"]?.contains("options") == true)
            let counted = try await fixture.hash("d")
            #expect(counted["atm"] == "1" && counted["ats"] == "1")
            #expect(try await fixture.call("GET", "bull:q:s").string == "a string")
            #expect(try await fixture.call("EXISTS", "bull:q:ghost", "bull:q:ghost2", "bull:q:h").integer == 0)
        }
    }

    @Test func `a job whose reason to fail is set already is not run`() async throws {
        try await Fixture.with { fixture in
            _ = try await fixture.producer().add([.init("n", data: "1", options: .init(attempts: 5))])
            try await fixture.call("HSET", "bull:q:1", "defa", "child x failed")
            let seen = Record<String>()
            let worker = try fixture.worker { job, _ in
                seen.append(job.id)
                return .completed("null")
            }
            try await fixture.running(worker) {
                try await eventually("failed") { try await fixture.count("failed") == 1 }
            }
            let hash = try await fixture.hash("1")
            #expect(hash["failedReason"] == "child x failed" && hash["defa"] == nil && seen.count == 0)
        }
    }

    @Test func `progress is stored and told`() async throws {
        try await Fixture.with { fixture in
            _ = try await fixture.producer().add("n", data: "1", options: .init())
            let errors = Record<BullError.Code>()
            let worker = try fixture.worker { job, control in
                do throws(BullError) {
                    try await control.updateProgress(#"{"done":1}"#)
                    try await control.updateProgress("not JSON")
                } catch {
                    errors.append(error.code)
                }
                return .completed("null")
            }
            try await fixture.running(worker) {
                try await eventually("completed") { try await fixture.count("completed") == 1 }
            }
            #expect(errors.all == [.invalidJSON])
            #expect(try await fixture.hash("1")["progress"] == #"{"done":1}"#)
            #expect(try await fixture.events().contains(#"progress jobId 1 data {"done":1}"#))
        }
    }

    @Test func `a job parked behind a deduplication is added when its holder ends`() async throws {
        try await Fixture.with { fixture in
            _ = try await fixture.producer().add("n", data: "1", options: .init())
            try await fixture.call("HSET", "bull:q:1", "deid", "k")
            try await fixture.call("SET", "bull:q:de:k", "1")
            try await fixture.call(
                "HSET", "bull:q:dn:k", "name", "next", "data", "2", "opts", #"{"priority":3}"#, "jid", "2")
            let seen = Record<String>()
            let worker = try fixture.worker { job, _ in
                seen.append("\(job.name) \(job.data) \(job.priority)")
                return .completed("null")
            }
            try await fixture.running(worker) {
                try await eventually("both ran") { try await fixture.count("completed") == 2 }
            }
            #expect(seen.all == ["n 1 0", "next 2 3"])
            #expect(try await fixture.call("EXISTS", "bull:q:de:k", "bull:q:dn:k").integer == 0)
        }
    }

    @Test func `wrong options are refused by name`() async throws {
        try await Fixture.with { fixture in
            #expect(throws: BullError(.invalidOption, "")) {
                try fixture.worker({ $0.concurrency = 0 }) { _, _ in .handBack }
            }
            let worker = try fixture.worker { _, _ in .handBack }
            worker.shutdown(grace: .zero)
            await #expect(throws: BullError(.invalidOption, "")) { try await worker.run() }
        }
    }
}
