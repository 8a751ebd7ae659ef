import Foundation
import FunctionKit
import Logging
import NIOCore
import NIOPosix
import RedisClient
import TestSupport
import Testing

@testable import BullQueue

/// Whatever stands in Redis, a job ends as failed or completed or is refused with a line in the log; the worker lives,
/// rests, and works what is whole.
@Suite struct BadInputTests {
    static let isSoak = ProcessInfo.processInfo.environment["FERRY_SOAK"] == "1"

    enum End: Sendable { case completed, failed, refused }

    struct Row: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let fields: [String: String]
        let end: End
        var reason = ""

        /// A plain job with other fields; an empty text stands for a field that is missing.
        init(_ description: String, _ changes: [String: String], _ end: End, _ reason: String = "") {
            testDescription = description
            var fields = [
                "name": "n", "data": "{}", "opts": #"{"attempts":2}"#, "timestamp": "1795438672063", "delay": "0",
                "priority": "0",
            ]
            for (field, value) in changes { fields[field] = value.isEmpty ? nil : value }
            self.fields = fields
            self.end = end
            self.reason = reason
        }
    }

    static let huge = "99999999999999999999999"
    static let rows: [Row] = [
        Row("no name", ["name": ""], .refused),
        Row("nothing but a name", ["data": "", "opts": "", "timestamp": "", "delay": "", "priority": ""], .completed),
        Row("no data", ["data": ""], .completed),
        Row("data that is not JSON", ["data": "{no JSON"], .completed),
        Row("no options", ["opts": ""], .completed),
        Row("options that are not JSON", ["opts": "{no"], .failed, "options"),
        Row("options that are a list", ["opts": "[]"], .failed, "options"),
        Row("options nested beyond measure", ["opts": String(repeating: "[", count: 100_000)], .failed, "options"),
        Row(
            "numbers that are texts", ["timestamp": "x", "delay": "y", "priority": "z", "ats": "a", "atm": "b"],
            .completed),
        Row(
            "numbers with a fraction", ["timestamp": "1.5", "delay": "0.5", "priority": "2.5", "atm": "0.9"], .completed
        ),
        Row(
            "huge numbers", ["timestamp": huge, "delay": huge, "priority": huge, "ats": huge, "atm": huge], .completed),
        Row("the largest integer", ["timestamp": "\(Int.max)", "ats": "\(Int.max)", "atm": "\(Int.max)"], .completed),
        Row("the smallest integer", ["timestamp": "\(Int.min)", "ats": "\(Int.min)", "atm": "\(Int.min)"], .completed),
        Row(
            "no numbers", ["timestamp": "nan", "delay": "inf", "priority": "-inf", "ats": "nan", "atm": "inf"],
            .completed),
        Row("attempts that are negative", ["opts": #"{"attempts":-3}"#, "data": "fail"], .failed, "asked"),
        Row("attempts that are a text", ["opts": #"{"attempts":"many"}"#, "data": "fail"], .failed, "asked"),
        Row(
            "an unknown back-off",
            ["opts": #"{"attempts":9,"backoff":{"type":"fibonacci","delay":1}}"#, "data": "fail"],
            .failed, "fibonacci"),
        Row(
            "a back-off without a type", ["opts": #"{"attempts":9,"backoff":{"delay":1}}"#, "data": "fail"], .failed,
            "?"),
        Row(
            "a back-off of a wrong type", ["opts": #"{"attempts":2,"backoff":[1]}"#, "data": "fail"], .failed, "asked"),
        Row(
            "a back-off below zero",
            ["opts": #"{"attempts":2,"backoff":{"type":"fixed","delay":-1e300,"jitter":-4}}"#, "data": "fail"],
            .failed, "asked"),
        Row(
            "a jitter beyond one",
            ["opts": #"{"attempts":2,"backoff":{"type":"fixed","delay":1,"jitter":1e9}}"#, "data": "fail"],
            .failed, "asked"),
        Row(
            "options of wrong types",
            [
                "opts": #"{"lifo":7,"priority":"x","delay":[],"removeOnComplete":"yes","removeOnFail":{"age":"x"},"#
                    + #""stackTraceLimit":-1,"jobId":{},"parent":3,"de":5,"kl":-2}"#
            ], .completed),
        Row(
            "keep rules that are no rules",
            ["opts": #"{"removeOnComplete":{"age":-1,"count":1e300,"limit":0},"removeOnFail":-9}"#], .completed),
        Row("a keep rule beyond measure", ["opts": #"{"removeOnComplete":{"age":1e300,"count":9e15}}"#], .completed),
        Row("a stacktrace limit beyond measure", ["opts": #"{"stackTraceLimit":9e15}"#, "data": "fail"], .failed),
        Row("stacktraces that are not JSON", ["stacktrace": "[[", "data": "fail", "opts": "{}"], .failed),
        Row("a stall counter that is a text", ["stc": "often"], .completed),
        Row("a parent that is no parent", ["parentKey": "nowhere", "parent": "[]"], .completed),
        Row("a parent whose queue is not named", ["parentKey": "::", "parent": "{"], .completed),
        Row("a deduplication that nobody holds", ["deid": "\u{0}:"], .completed),
        Row("a text beyond ASCII", ["name": "\u{0}\n\u{2028}\u{1F600}", "data": "\u{0}"], .completed),
        Row("a deferred failure", ["defa": "as decided"], .failed, "as decided"),
        Row("ten megabytes of data", ["data": "\"" + String(repeating: "x", count: 10 << 20) + "\""], .completed),
        Row("more data than a reply may have", ["data": String(repeating: "x", count: 40 << 20)], .failed, "bytes"),
    ]

    /// What a test can see of the worker's log.
    private struct Lines: LogHandler {
        let record: Record<String>
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.info
        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }
        func log(event: LogEvent) {
            record.append("\(event.level) \(event.message) \(event.metadata ?? [:])")
        }
    }

    private func worker(
        _ fixture: Fixture, _ lines: Record<String>, _ starts: Record<String>, concurrency: Int = 4
    ) throws -> BullWorker {
        var options = BullWorkerOptions()
        options.concurrency = concurrency
        (options.drainDelay, options.lockDuration) = (.milliseconds(300), .milliseconds(1000))
        (options.stalledCheckInterval, options.stalledCheckGate) = (.milliseconds(200), .milliseconds(150))
        let logger = Logger(label: "test", factory: { _ in Lines(record: lines) })
        return try BullWorker(
            queue: Fixture.queue, options: options, client: fixture.client,
            lockLoop: MultiThreadedEventLoopGroup.singleton.next(), logger: logger
        ) { job, _ in
            starts.append(job.id)
            // What a host does with it.
            _ = (job.attempt, job.maxAttempts, job.addedAt, job.priority)
            return job.data == "fail" ? .failed(reason: "asked to") : .completed("null")
        }
    }

    private func expectHealthy(_ fixture: Fixture, _ lines: Record<String>) async throws {
        let id = "healthy\(UInt64.random(in: 0 ... .max))"
        var options = JobOptions()
        options.id = id
        _ = try await fixture.producer().add("n", data: "{}", options: options)
        do {
            try await eventually("a whole job is worked") {
                try await fixture.call("ZSCORE", "bull:q:completed", id).string != nil
            }
        } catch {
            throw NotInTime(description: "a whole job is not worked: \(lines.all.suffix(8))")
        }
    }

    /// The commands that the server gets while nothing happens.
    private func expectRest(_ fixture: Fixture, _ what: String) async throws {
        func count() async throws -> Int {
            let info = try await fixture.call("INFO", "stats").string ?? ""
            let line = info.split(separator: "\r\n").first { $0.hasPrefix("total_commands_processed:") }
            return line.flatMap { Int($0.split(separator: ":")[1]) } ?? 0
        }
        let before = try await count()
        try await Task.sleep(for: .milliseconds(600))  // what is measured
        let sent = try await count() - before
        #expect(sent < 300, "commands in 600 ms: \(what)")
    }

    @Test(arguments: rows)
    func `a job that is not as it should be ends, and holds nobody up`(row: Row) async throws {
        try await Fixture.with { fixture in
            let (lines, starts) = (Record<String>(), Record<String>())
            for id in ["bad", "worse"] {
                let fields = row.fields.flatMap { [$0.key, $0.value] }
                _ = try await fixture.client.send(RedisCommand(["HSET", "bull:q:\(id)"] + fields))
                try await fixture.call("LPUSH", "bull:q:wait", id)
            }
            try await fixture.running(try worker(fixture, lines, starts)) {
                try await eventually("both have ended: \(lines.all)") {
                    switch row.end {
                    case .completed: try await fixture.count("completed") == 2
                    case .failed: try await fixture.count("failed") == 2
                    case .refused: lines.all.count { $0.hasPrefix("error an id was dropped") } == 2
                    }
                }
                try await expectHealthy(fixture, lines)
            }
            #expect(try await fixture.counts("wait", "active", "prioritized", "delayed") == [0, 0, 0, 0])
            #expect(try await fixture.strings("KEYS", "bull:q:*:lock") == [])
            let reason = try await fixture.call("HGET", "bull:q:bad", "failedReason").string ?? ""
            #expect(row.reason.isEmpty || reason.contains(row.reason))
            if row.end == .refused { #expect(starts.count == 1) }
        }
    }

    @Test func `ids that name no job are dropped`() async throws {
        try await Fixture.with { fixture in
            let (lines, starts) = (Record<String>(), Record<String>())
            try await fixture.call("SET", "bull:q:text", "not a hash")
            try await fixture.call("RPUSH", "bull:q:list", "not a hash")
            let ids = ["missing", "text", "list", "0:1", "0:", "a:b", "", "meta", "wait", "id", "\u{0}", "active"]
            for id in ids { try await fixture.call("LPUSH", "bull:q:wait", id) }
            for (index, id) in ids.enumerated() {
                try await fixture.call("ZADD", "bull:q:prioritized", "\(index)", id + "p")
                try await fixture.call("ZADD", "bull:q:delayed", "\(index)", id + "d")
            }
            try await fixture.call("ZADD", "bull:q:delayed", "-inf", "beginning", "+inf", "end")
            try await fixture.call("ZADD", "bull:q:marker", "+inf", "x", "-inf", "y", "0.5", "0", "1e300", "1")
            try await fixture.running(try worker(fixture, lines, starts)) {
                try await expectHealthy(fixture, lines)
                try await eventually("all are gone") {
                    try await fixture.counts("wait", "active", "prioritized") == [0, 0, 0]
                }
                try await expectRest(fixture, "ids without jobs")
            }
            #expect(try await fixture.strings("ZRANGE", "bull:q:delayed", "0", "-1") == ["end"])
            // Foreign keys are left alone.
            #expect(try await fixture.call("GET", "bull:q:text").string == "not a hash")
            #expect(try await fixture.call("LLEN", "bull:q:list").integer == 1)
            #expect(starts.count == 1)
            #expect(lines.all.contains { $0.contains("missing") })
        }
    }

    @Test func `ids, names and data that are not text end as well`() async throws {
        try await Fixture.with { fixture in
            let (lines, starts) = (Record<String>(), Record<String>())
            func bytes(_ bytes: [UInt8]) -> RedisArgument { .bytes(ByteBuffer(bytes: bytes)) }
            let id: [UInt8] = [0xff, 0x00, 0xfe, 0x0a]
            let key = Array("bull:q:".utf8) + id
            for (number, name) in ([[0xff, 0xfe], Array("n".utf8)] as [[UInt8]]).enumerated() {
                let key = number == 0 ? Array("bull:q:named".utf8) : key
                let id = number == 0 ? Array("named".utf8) : id
                _ = try await fixture.client.send(
                    RedisCommand(
                        [
                            "HSET", bytes(key), "name", bytes(name), "data", bytes([0x80, 0xff, 0x00]), "opts", "{}",
                        ]))
                _ = try await fixture.client.send(RedisCommand(["LPUSH", "bull:q:wait", bytes(id)]))
            }
            try await fixture.running(try worker(fixture, lines, starts)) {
                try await expectHealthy(fixture, lines)
                try await eventually("nothing is left: \(lines.all)") {
                    try await fixture.counts("wait", "active") == [0, 0]
                }
                try await expectRest(fixture, "binary ids")
            }
            #expect(try await fixture.call("ZSCORE", "bull:q:completed", "named").string != nil)
        }
    }

    @Test(arguments: [
        "wait", "active", "prioritized", "delayed", "completed", "failed", "events", "meta", "marker", "stalled",
        "stalled-check", "limiter", "id", "pc", "1", "1:lock",
    ])
    func `a key of another type is survived and, once it is gone, forgotten`(name: String) async throws {
        try await Fixture.with { fixture in
            let (lines, starts) = (Record<String>(), Record<String>())
            let key = "bull:q:" + name
            for value in BadInputTests.isSoak ? ["SET", "RPUSH"] : ["SET"] {
                try await fixture.call("FLUSHALL")
                _ = try await fixture.producer().add("n", data: "{}", options: .init())
                try await fixture.call("DEL", key)
                try await fixture.call(value, key, "of another kind")
                let isList = ["wait", "active"].contains(name)
                if isList, value == "RPUSH" { continue }
                try await fixture.running(try worker(fixture, lines, starts)) {
                    // Time for fetches, finishes, renewals and checks to meet it.
                    try await Task.sleep(for: .milliseconds(400))
                    try await expectRest(fixture, "\(name) after \(value)")
                    try await fixture.call("DEL", key)
                    try await expectHealthy(fixture, lines)
                    try await eventually("nothing is left: \(lines.all)") {
                        try await fixture.counts("wait", "active") == [0, 0]
                    }
                }
            }
        }
    }

    @Test func `a step that is refused while nothing is pending leaves the worker awake`() async throws {
        try await Fixture.with { fixture in
            let (lines, starts) = (Record<String>(), Record<String>())
            _ = try await fixture.producer().add("n", data: "{}", options: .init())
            let worker = try BullWorker(
                queue: Fixture.queue, client: fixture.client, lockLoop: MultiThreadedEventLoopGroup.singleton.next(),
                logger: Logger(label: "test", factory: { _ in Lines(record: lines) })
            ) { job, _ in
                if starts.append(job.id) == 1 {
                    // Its lock lapses and is to be taken again before the finish; that step is refused, the outcome dropped.
                    _ = try? await fixture.call("DEL", "bull:q:\(job.id):lock", "bull:q:active")
                    _ = try? await fixture.call("SET", "bull:q:active", "x")
                }
                return .completed("null")
            }
            try await fixture.running(worker) {
                try await eventually("it was refused") {
                    lines.all.contains { $0.contains("the queue refused a step") }
                }
                try await fixture.call("DEL", "bull:q:active")
                try await expectHealthy(fixture, lines)
            }
        }
    }

    @Test func `many large jobs are taken a few at a time`() async throws {
        try await Fixture.with { fixture in
            let (lines, starts) = (Record<String>(), Record<String>())
            let data = "\"" + String(repeating: "x", count: 6 << 20) + "\""
            for _ in 0..<10 { _ = try await fixture.producer().add("n", data: data, options: .init()) }
            try await fixture.running(try worker(fixture, lines, starts, concurrency: 10)) {
                try await eventually("all are worked: \(lines.all)") { try await fixture.count("completed") == 10 }
            }
            #expect(starts.count == 10)
        }
    }

    @Test func `a lock that was made something else holds up no other`() async throws {
        try await Fixture.with { fixture in
            let lines = Record<String>()
            _ = try await fixture.producer().add((0..<2).map { .init("n", data: "\($0)") })
            var options = BullWorkerOptions()
            (options.concurrency, options.lockDuration) = (2, .milliseconds(600))
            options.stalledCheckInterval = .seconds(30)
            let logger = Logger(label: "test", factory: { _ in Lines(record: lines) })
            let worker = try BullWorker(
                queue: Fixture.queue, options: options, client: fixture.client,
                lockLoop: MultiThreadedEventLoopGroup.singleton.next(), logger: logger
            ) { job, _ in
                if job.data == "0" {
                    _ = try? await fixture.call("DEL", "bull:q:\(job.id):lock")
                    _ = try? await fixture.call("RPUSH", "bull:q:\(job.id):lock", "x")
                }
                try? await Task.sleep(for: .milliseconds(1500))  // longer than a lock
                return .completed("null")
            }
            try await fixture.running(worker) {
                try await eventually("the other completed") { try await fixture.hash("2")["finishedOn"] != nil }
            }
            #expect(try await fixture.hash("2")["atm"] == "1")
            #expect(!lines.all.contains { $0.contains("locks could not be renewed") })
        }
    }

    // MARK: Anything

    private static let pool: [String] = [
        "", "0", "1", "-1", "1.5", "nan", "-nan", "inf", huge, "\(Int.max)", "\(Int.min)", "9007199254740993", "null",
        "true", "{}", "[]", "\"x\"", "{", "[[[[", "\u{0}", "\u{FFFD}", "0:", "a:b", "a:b:c", "bull:q:x", "fail",
        #"{"attempts":1e308}"#, #"{"attempts":3,"backoff":5}"#,
        #"{"attempts":3,"backoff":{"type":"exponential","delay":1}}"#,
        #"{"removeOnComplete":true,"removeOnFail":0}"#, #"{"removeOnFail":{"count":-1,"age":0}}"#,
        #"{"lifo":true,"priority":-1}"#, #"{"id":"x","queueKey":"bull:q"}"#, #"{"id":7,"queueKey":[],"fpof":true}"#,
    ]

    @Test(arguments: 1...(isSoak ? 40 : 4))
    func `whatever a queue holds, it is worked off`(seed: UInt64) async throws {
        var generator = SeededGenerator(seed: seed)
        try await Fixture.with { fixture in
            let (lines, starts) = (Record<String>(), Record<String>())
            let names = [
                "name", "data", "opts", "timestamp", "delay", "priority", "ats", "atm", "stc", "defa", "parent",
                "parentKey", "deid", "stacktrace", "progress", "attemptsMade", "finishedOn", "processedOn",
                "failedReason",
            ]
            var commands: [RedisCommand] = []
            for index in 0..<100 {
                var id = "job\(index)"
                if Int.random(in: 0..<20, using: &generator) == 0 {
                    id = BadInputTests.pool.randomElement(using: &generator)! + "\(index)"
                }
                var fields = ["name", "n", "opts", #"{"attempts":2}"#]
                for name in names where Int.random(in: 0..<4, using: &generator) == 0 {
                    fields += [name, BadInputTests.pool.randomElement(using: &generator)!]
                }
                if Int.random(in: 0..<25, using: &generator) > 0 {
                    commands.append(RedisCommand(["HSET", "bull:q:" + id] + fields))
                }
                let due = ["-1", "0", "1e10", "-inf", "1e300"].randomElement(using: &generator)!
                switch Int.random(in: 0..<6, using: &generator) {
                case 0: commands.append(RedisCommand(["RPUSH", "bull:q:wait", id]))
                case 1: commands.append(RedisCommand(["ZADD", "bull:q:prioritized", due, id]))
                case 2: commands.append(RedisCommand(["ZADD", "bull:q:delayed", due, id]))
                case 3: commands.append(RedisCommand(["LPUSH", "bull:q:active", id]))
                default: commands.append(RedisCommand(["LPUSH", "bull:q:wait", id]))
                }
            }
            _ = try await fixture.client.pipeline(commands)
            try await fixture.call("ZREMRANGEBYSCORE", "bull:q:delayed", "1e299", "+inf")
            try await fixture.running(try worker(fixture, lines, starts)) {
                do {
                    try await eventually("all is worked off") {
                        try await fixture.counts("wait", "active", "prioritized", "delayed") == [0, 0, 0, 0]
                    }
                } catch {
                    let left = try await fixture.strings("LRANGE", "bull:q:active", "0", "5")
                    throw NotInTime(description: "seed \(seed): \(left) \(lines.all.suffix(5))")
                }
                try await expectHealthy(fixture, lines)
            }
            // Two attempts each, and one more where a worker was lost with it.
            #expect(starts.count < 330, "\(Dictionary(grouping: starts.all) { $0 }.filter { $1.count > 8 }.keys)")
            #expect(try await fixture.strings("KEYS", "bull:q:*:lock") == [])
        }
    }
}
