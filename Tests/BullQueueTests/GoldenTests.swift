import Foundation
import FunctionKit
import NIOCore
import RedisClient
import Testing

@testable import BullQueue

/// What this module leaves in Redis is what the PyPI client leaves; see Fixtures/make_golden.py.
@Suite(.serialized) struct GoldenTests {
    static let golden: JSONNode = {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        guard let text = try? String(contentsOf: folder.appendingPathComponent("Fixtures/golden.json"), encoding: .utf8)
        else { return .null }
        return JSONNode(parsing: text) ?? .null
    }()

    static func names(_ part: String) -> [String] { golden[part]?.members.keys.sorted() ?? ["no golden file"] }

    @Test(arguments: names("added"))
    func `an added job is stored as the peer stores it`(name: String) async throws {
        let scenario = try #require(GoldenTests.golden["added"]?[name])
        try await Fixture.with { fixture in
            for job in scenario["jobs"]?.elements ?? [] {
                let parts = job.elements
                if parts[0].string == "!activate" {
                    try await fixture.call("RPOPLPUSH", "bull:q:wait", "bull:q:active")
                    continue
                } else if parts[0].string == "!forget" {
                    try await fixture.call("DEL", "bull:q:1")
                    continue
                }
                let options = try GoldenTests.options(parts[2])
                let id = parts[2]["jobId"]?.string
                #expect(options.id == id)
                let new = BullProducer.NewJob(parts[0].string ?? "", data: GoldenTests.json(parts[1]), options: options)
                _ = try await fixture.producer().add([new])
            }
            try await GoldenTests.compare(fixture, scenario["dump"] ?? .null)
            #expect(
                try await fixture.strings("ZRANGE", "bull:q:marker", "0", "-1")
                    == scenario["marker"]?.elements.compactMap(\.string))
        }
    }

    /// The options as the peer's API names them.
    static func options(_ node: JSONNode) throws -> BullJobOptions {
        var text = json(node)
        for (long, short) in [
            ("deduplication", "de"), ("failParentOnFailure", "fpof"), ("continueParentOnFailure", "cpof"),
            ("ignoreDependencyOnFailure", "idof"), ("removeDependencyOnFailure", "rdof"),
        ] {
            text = text.replacing("\"\(long)\"", with: "\"\(short)\"")
        }
        return try #require(BullJobOptions(json: text))
    }

    @Test(arguments: names("flows"))
    func `a tree of jobs is stored as the peer stores it`(name: String) async throws {
        let scenario = try #require(GoldenTests.golden["flows"]?[name])
        try await Fixture.with { fixture in
            func node(_ role: String, id: String, children: [BullFlow] = []) throws -> BullFlow {
                var options = try GoldenTests.options(scenario[role] ?? .null)
                options.id = id
                return BullFlow(
                    queue: Fixture.queue, job: .init(role, data: "{}", options: options), children: children)
            }
            let flow = try node("parent", id: "p", children: [node("child", id: "c")])
            let added = try await BullFlowProducer(client: fixture.client).add(flow)
            #expect(added.id == "p" && added.children.map(\.id) == ["c"])
            try await GoldenTests.compare(fixture, scenario["before"] ?? .null)
        }
    }

    @Test(arguments: names("worked").map { ("worked", $0) } + names("flows").map { ("flows", $0) })
    func `a worked job is left as the peer leaves it`(part: String, name: String) async throws {
        let scenario = try #require(GoldenTests.golden[part]?[name])
        try await Fixture.with { fixture in
            try await GoldenTests.load(fixture, scenario["before"] ?? .null)
            let made = Record<String>()
            let worker = try fixture.worker { job, control in
                made.append(job.id)
                let steps = scenario["script"]?[job.name]?.elements ?? []
                let number = made.all.count { $0 == job.id }
                let step = steps[min(number, steps.count) - 1]
                guard let text = step.string else { return .completed(GoldenTests.json(step)) }
                if text.hasPrefix("!!") { return .failed(reason: String(text.dropFirst(2)), retry: .never) }
                if text.hasPrefix("!") { return .failed(reason: String(text.dropFirst())) }
                if text == "progress" { try? await control.updateProgress(#"{"p":50}"#) }
                return .completed(GoldenTests.json(step))
            }
            try await fixture.running(worker) {
                try await eventually("all jobs have ended") {
                    let ended = try await fixture.events().count {
                        $0.hasPrefix("completed ") || $0.hasPrefix("failed ")
                    }
                    return Double(ended) >= scenario["terminal"]?.number ?? 0
                }
            }
            try await GoldenTests.compare(fixture, scenario["after"] ?? .null)
        }
    }

    // MARK: Dumps

    static let skipped: Set<String> = ["marker", "stalled", "stalled-check"]
    static let jsonFields: Set<String> = ["data", "opts", "returnvalue", "progress", "parent"]

    static func compare(_ fixture: Fixture, _ expected: JSONNode) async throws {
        let base = "bull:q:"
        var found: Set<String> = []
        for key in try await fixture.strings("KEYS", base + "*") {
            let name = String(key.dropFirst(base.count))
            guard !skipped.contains(name) else { continue }
            found.insert(name)
            let actual = json(comparable(try await dump(fixture, key, name), name))
            #expect(actual == expected[name].map { json(comparable($0, name)) }, "key \(name)")
        }
        #expect(found == Set(expected.members.keys))
    }

    /// Two freedoms: the peer writes `"delay":0` into every options, and says `drained` after each finish, as it never
    /// fetches the next job in the same step.
    static func comparable(_ node: JSONNode, _ name: String) -> JSONNode {
        if name == "events" { return .array(node.elements.filter { $0 != drained }) }
        guard case .object(var fields) = node, case .object(var options)? = fields["opts"] else { return node }
        if options["delay"] == .number(0) { options["delay"] = nil }
        fields["opts"] = .object(options)
        return .object(fields)
    }

    static let drained = JSONNode.array([.array([.string("event"), .string("drained")])])

    static func dump(_ fixture: Fixture, _ key: String, _ name: String) async throws -> JSONNode {
        switch try await fixture.call("TYPE", key).string {
        case "hash":
            let fields = try await fixture.hash(name)
            return .object(
                Dictionary(
                    uniqueKeysWithValues: fields.map {
                        ($0.replacing("bull:q", with: "bull:golden"), masked($0, $1))
                    }))
        case "list": return .array(try await fixture.strings("LRANGE", key, "0", "-1").map { .string($0) })
        case "set": return .array(try await fixture.strings("SMEMBERS", key).sorted().map { masked("", $0) })
        case "string":
            let expires = try await fixture.call("PTTL", key).integer ?? 0 > 0
            let value = try await fixture.call("GET", key).string ?? ""
            return .object(["value": .string(value), "expires": .bool(expires)])
        case "zset":
            let flat = try await fixture.strings("ZRANGE", key, "0", "-1", "WITHSCORES")
            return .array(
                stride(from: 0, to: flat.count, by: 2).map { index in
                    let score = Double(flat[index + 1]) ?? 0
                    let masked: JSONNode =
                        isTime(score) ? .string("T") : isTime(score / 4096) ? .string("S") : .number(score)
                    return .array([.string(flat[index].replacing("bull:q", with: "bull:golden")), masked])
                })
        default:
            let entries = try await fixture.call("XRANGE", key, "-", "+").array ?? []
            let all = entries.map { entry in
                let flat = (entry.array?.last?.array ?? []).compactMap(\.string)
                return JSONNode.array(
                    stride(from: 0, to: flat.count - 1, by: 2).map { index in
                        .array([.string(flat[index]), masked(flat[index], flat[index + 1])])
                    })
            }
            return .array(all.filter { $0 != drained })
        }
    }

    static func isTime(_ number: Double) -> Bool {
        abs(number - Double(Timestamp.now.milliseconds)) < 30 * 86_400_000
    }

    static func masked(_ field: String, _ text: String) -> JSONNode {
        let text = text.replacing("bull:q", with: "bull:golden")
        if field == "stacktrace" { return .number(Double(JSONNode(parsing: text)?.elements.count ?? -1)) }
        if jsonFields.contains(field) { return JSONNode(parsing: text) ?? .string("not JSON: \(text)") }
        if let number = Double(text), isTime(number) { return .string("T") }
        return .string(text)
    }

    /// Puts a dump into Redis; what was a time is now.
    static func load(_ fixture: Fixture, _ dump: JSONNode) async throws {
        let now = Timestamp.now.milliseconds
        func text(_ node: JSONNode) -> String {
            let text = node.string ?? json(node)
            return text == "T" ? "\(now)" : text == "S" ? "\((now + 30) * 4096)" : text
        }
        for (name, node) in dump.members {
            let key = "bull:q:" + name
            var command: [String]
            switch (name, node) {
            case ("events", _):
                for entry in node.elements {
                    let fields = entry.elements.flatMap { $0.elements.map(text) }
                    _ = try await fixture.client.send(RedisCommand(["XADD", key, "*"] + fields))
                }
                continue
            case (_, .object(let fields)) where fields["expires"] != nil:
                command = ["SET", key, text(fields["value"] ?? .null)]
                if fields["expires"] == .bool(true) { command += ["PX", "3600000"] }
            case (_, .object(let fields)):
                command = ["HSET", key] + fields.flatMap { [$0, jsonFields.contains($0) ? json($1) : text($1)] }
            case (_, .array(let elements)):
                let isSortedSet = elements.contains { !$0.elements.isEmpty }
                let verb = isSortedSet ? "ZADD" : name.hasSuffix(":dependencies") ? "SADD" : "RPUSH"
                let values = elements.flatMap {
                    isSortedSet ? [text($0.elements[1]), text($0.elements[0])] : [text($0)]
                }
                command = [verb, key] + values
            default: throw NotInTime(description: "a dump of another shape: \(name)")
            }
            _ = try await fixture.client.send(
                RedisCommand(command.map { $0.replacing("bull:golden", with: "bull:q") }))
        }
    }

    static func json(_ node: JSONNode) -> String {
        var writer = JSONWriter()
        write(node, &writer)
        return String(buffer: writer.buffer)
    }

    private static func write(_ node: JSONNode, _ writer: inout JSONWriter) {
        switch node {
        case .null: writer.raw("null")
        case .bool(let flag): writer.value(flag)
        case .number(let number): writer.value(number)
        case .string(let text): writer.value(text)
        case .array(let elements): writer.array { for element in elements { write(element, &$0) } }
        case .object(let members):
            writer.raw(
                "{"
                    + members.sorted { $0.key < $1.key }.map { json(.string($0)) + ":" + json($1) }.joined(
                        separator: ",") + "}")
        }
    }
}

extension JSONNode {
    var elements: [JSONNode] { if case .array(let elements) = self { elements } else { [] } }
    var members: [String: JSONNode] { if case .object(let members) = self { members } else { [:] } }
}
