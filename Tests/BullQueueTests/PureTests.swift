import FunctionKit
import Testing

@testable import BullQueue

@Suite struct BullBackoffTests {
    @Test(arguments: [
        ("fixed", 100.0, 1, BullBackoff.Step.delay(ms: 100)), ("fixed", 100, 7, .delay(ms: 100)),
        ("fixed", 0, 1, .immediately), ("exponential", 100, 1, .delay(ms: 100)),
        ("exponential", 100, 2, .delay(ms: 200)), ("exponential", 100, 5, .delay(ms: 1600)),
        ("exponential", 0.5, 2, .delay(ms: 1)), ("exponential", 0, 3, .immediately),
        ("exponential", 100, 1000, .delay(ms: 315_360_000_000)), ("fixed", 1e300, 1, .delay(ms: 315_360_000_000)),
        ("fixed", -5, 1, .immediately), ("linear", 100, 1, .unknownType("linear")),
    ])
    func `the wait follows type, delay and attempt`(type: String, delay: Double, attempt: Int, step: BullBackoff.Step) {
        #expect(BullBackoff(type: type, delayMs: delay).step(afterAttempt: attempt, random: 0.5) == step)
    }

    @Test(arguments: [
        (0.5, 0.0, Int64(50)), (0.5, 0.999, 99), (1, 0.5, 50), (0.25, 0.0, 75), (7, 0.5, 50), (-1, 0.5, 100),
    ])
    func `jitter is uniform in its share`(jitter: Double, random: Double, ms: Int64) {
        let backoff = BullBackoff(type: "fixed", delayMs: 100, jitter: jitter)
        #expect(backoff.step(afterAttempt: 1, random: random) == .delay(ms: ms))
    }
}

@Suite struct BullJobOptionsTests {
    @Test func `options survive a round trip`() throws {
        let options = BullJobOptions(
            attempts: 3, backoff: BullBackoff(type: "exponential", delayMs: 100, jitter: 0.5), delayMs: 5, priority: 2,
            isLIFO: true, id: "a\"b", removeOnComplete: BullKeepRule(count: 5, ageSeconds: 3600, limit: 7),
            removeOnFail: .removeAtOnce, stackTraceLimit: 2)
        #expect(BullJobOptions(json: options.json) == options)
        #expect(BullJobOptions(json: BullJobOptions().json) == BullJobOptions())
        #expect(BullJobOptions().json == #"{"attempts":0}"#)
    }

    @Test(arguments: [
        (#"{"attempts":"3"}"#, BullJobOptions()), (#"{"attempts":-1,"delay":-5,"priority":-2}"#, BullJobOptions()),
        (#"{"what":{"is":[1,null]}}"#, BullJobOptions()), ("{}", BullJobOptions()),
        (#"{"backoff":250}"#, BullJobOptions(backoff: BullBackoff(type: "fixed", delayMs: 250))),
        (#"{"backoff":{"delay":250}}"#, BullJobOptions(backoff: BullBackoff(type: "?", delayMs: 250))),
        (#"{"backoff":"x"}"#, BullJobOptions()), (#"{"attempts":2.9}"#, BullJobOptions(attempts: 2)),
        (#"{"attempts":1e300}"#, BullJobOptions()),
    ])
    func `what does not fit counts as not given`(json: String, options: BullJobOptions) {
        #expect(BullJobOptions(json: json) == options)
    }

    @Test func `missing options are the defaults and other values are none`() {
        #expect(BullJobOptions(json: nil) == BullJobOptions())
        for json in ["[]", "1", "x", "{", "null", "{\"a\":1}x"] { #expect(BullJobOptions(json: json) == nil) }
    }

    @Test(arguments: [
        ("true", BullKeepRule(count: 0)), ("false", BullKeepRule()), ("7", BullKeepRule(count: 7)),
        ("0", BullKeepRule(count: 0)), ("-1", BullKeepRule(count: 0)),
        (#"{"age":2.5}"#, BullKeepRule(ageSeconds: 2.5)), (#"{"count":3,"limit":4}"#, BullKeepRule(count: 3, limit: 4)),
        (#"{"count":-1,"age":-1}"#, BullKeepRule()), ("{}", BullKeepRule()), (#""x""#, nil), ("null", nil),
    ])
    func `keep rules are read`(json: String, rule: BullKeepRule?) {
        #expect(BullJobOptions(json: "{\"removeOnComplete\":\(json)}")?.removeOnComplete == rule)
    }

    @Test func `a producer's mistakes are refused`() {
        let wrong = [
            BullJobOptions(attempts: -1), BullJobOptions(delayMs: -1), BullJobOptions(delayMs: .max),
            BullJobOptions(priority: -1), BullJobOptions(priority: 2_097_152), BullJobOptions(id: "12"),
            BullJobOptions(backoff: BullBackoff(type: "fixed", delayMs: -1)),
            BullJobOptions(backoff: BullBackoff(type: "fixed", delayMs: 1, jitter: 2)),
        ]
        for options in wrong { #expect(throws: BullError.self) { try options.validate() } }
    }
}

@Suite struct BullKeysTests {
    @Test(arguments: ["", "a:b", ":"])
    func `a queue's name is checked`(name: String) {
        #expect(throws: BullError(.invalidName, "")) { try BullKeys(queue: name) }
    }

    @Test(arguments: [
        "", "0", "12", "-3", "+4", "00012", "0:x", "0:x:y", "a:b", "a:b:c:d", "wait", "id", "stalled-check", "de:a:b",
        "metrics:a:b",
    ])
    func `an id that the queue could not hold is refused`(id: String) {
        #expect(throws: BullError(.invalidName, "")) { try BullKeys.check(customID: id) }
    }

    @Test(arguments: ["a", "12a", "-", "1.5", "repeat:x:1", "7f2c1f6e-9f0e-4a33-8a8e-6b0d2f0f9d55", "☃", "waiting"])
    func `other ids are allowed`(id: String) throws { try BullKeys.check(customID: id) }

    @Test func `keys begin with prefix and queue`() throws {
        let keys = try BullKeys(queue: "q", prefix: "{bull}")
        #expect(keys.job("1") == "{bull}:q:1")
        #expect(keys.events == "{bull}:q:events")
    }
}

@Suite struct JSONNodeTests {
    @Test(arguments: [
        ("null", JSONNode.null), (" true ", .bool(true)), ("-1.5e2", .number(-150)), ("0", .number(0)),
        (#""a\n\"\u2603\ud83d\ude00\/""#, .string("a\n\"☃😀/")), (#""\ud83dx""#, .string("\u{FFFD}x")),
        (#"[1,"a",[]]"#, .array([.number(1), .string("a"), .array([])])),
        (#"{"a":{"b":null},"a":2}"#, .object(["a": .number(2)])),
    ])
    func `JSON is read`(text: String, node: JSONNode) {
        #expect(JSONNode(parsing: text) == node)
        #expect(JSONNode.isValid(text))
    }

    @Test(arguments: [
        "", "nul", "01", "1.", "1e", "+1", "-", "NaN", "Infinity", "[1,]", "{\"a\"}", "{a:1}", "\"a", "\"\\x\"",
        "\"\n\"", "[1 2]", "1 2", "\"\\u12\"", "{\"a\":1,}", String(repeating: "[", count: 100_000),
    ])
    func `what is not JSON is refused`(text: String) {
        #expect(JSONNode(parsing: text) == nil)
        #expect(!JSONNode.isValid(text))
    }

    @Test(arguments: [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")])
    func `Base64 is written`(text: String, encoded: String) { #expect(Base64.text(text.utf8) == encoded) }
}

@Suite struct SettlementTests {
    private func job(atm: Int = 0, opts: String, fields: [String: String] = [:]) throws -> BullJob {
        var all = ["name": "n", "data": "{}", "opts": opts, "timestamp": "1", "atm": String(atm)]
        all.merge(fields) { $1 }
        let flat = all.flatMap { [RESPValue.bytes(.init(string: $0)), .bytes(.init(string: $1))] }
        return read(flat)
    }

    private func read(_ hash: [RESPValue], starts: Int = 1) -> BullJob {
        var cache = BullJob.OptionsCache()
        return BullJob(BullLease(id: "7", token: "t", starts: starts), hash: hash, cache: &cache)
    }

    private func operation(_ job: BullJob, _ outcome: BullOutcome) -> Settlement.Operation {
        Settlement(BullLease(id: "7", token: "t", starts: 1), job: job, run: 1, outcome: outcome).operation
    }

    @Test func `attempts and back-off decide what follows a failure`() throws {
        let failed = BullOutcome.failed(reason: "no", stacktrace: ["at x"])
        let two = try job(opts: #"{"attempts":2}"#)
        #expect(operation(two, failed) == .retry(reason: "no", stacktrace: #"["at x"]"#))
        let last = try job(atm: 1, opts: #"{"attempts":2}"#, fields: ["stacktrace": #"["old"]"#])
        #expect(operation(last, failed) == .finish(succeeded: false, value: "no", stacktrace: #"["old","at x"]"#))
        let backoff = try job(atm: 1, opts: #"{"attempts":5,"backoff":{"type":"exponential","delay":10}}"#)
        #expect(operation(backoff, failed) == .delay(ms: 20, reason: "no", stacktrace: #"["at x"]"#))
        let limited = try job(atm: 1, opts: #"{"attempts":5,"stackTraceLimit":0}"#, fields: ["stacktrace": "[]"])
        #expect(operation(limited, failed) == .retry(reason: "no", stacktrace: "[]"))
        let unknown = try job(opts: #"{"attempts":5,"backoff":{"type":"mine"}}"#)
        guard case .finish(false, let reason, _) = operation(unknown, failed) else {
            Issue.record("no end")
            return
        }
        #expect(reason.contains("mine"))
    }

    @Test func `a handler may decide itself`() throws {
        let five = try job(opts: #"{"attempts":5}"#)
        let never = BullOutcome.failed(reason: "no", retry: .never)
        #expect(operation(five, never) == .finish(succeeded: false, value: "no", stacktrace: #"["no"]"#))
        let after = BullOutcome.failed(reason: "no", retry: .after(.seconds(3)))
        #expect(operation(five, after) == .delay(ms: 3000, reason: "no", stacktrace: #"["no"]"#))
        let one = try job(opts: "{}")
        #expect(operation(one, after) == .finish(succeeded: false, value: "no", stacktrace: #"["no"]"#))
        #expect(operation(one, .completed("[1]")) == .finish(succeeded: true, value: "[1]", stacktrace: ""))
        guard case .finish(false, _, _) = operation(one, .completed("x")) else {
            Issue.record("not JSON")
            return
        }
    }

    @Test func `a stored job is read however it was written`() throws {
        let old = try job(
            opts: "{}", fields: ["attemptsMade": "3", "priority": "x", "timestamp": "1500.5", "new": "1"])
        #expect(old.attemptsMade == 0 && old.priority == 0 && old.addedAt.milliseconds == 1500 && old.defect == nil)
        let flat = ["name", "n", "attemptsMade", "3"].map { RESPValue.bytes(.init(string: $0)) }
        let renamed = read(flat, starts: 4)
        #expect(renamed.attemptsMade == 3 && renamed.attempt == 4 && renamed.attemptsStarted == 4)
        #expect(try job(opts: "[]").defect != nil)
    }
}

extension BullJob {
    /// Reads a started job as a script gives it: `{ id, starts, hash }`.
    init?(reply: RESPValue, token: String) {
        guard let parts = reply.array, parts.count == 3, let id = parts[0].string, let hash = parts[2].array else {
            return nil
        }
        var cache = OptionsCache()
        self.init(
            BullLease(id: id, token: token, starts: Int(parts[1].integer ?? 1)), hash: hash, cache: &cache)
    }
}
