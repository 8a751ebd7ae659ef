import FunctionKit
import RedisClient
import Testing

@testable import BullQueue

/// What schedulers leave in Redis is what the PyPI client leaves; see `scheduled_dump` in Fixtures/make_golden.py.
@Suite(.serialized) struct ScheduleGoldenTests {
    @Test(arguments: GoldenTests.names("schedulers"))
    func `a scheduler is stored as the peer stores it`(name: String) async throws {
        let scenario = try #require(GoldenTests.golden["schedulers"]?[name])
        try await Fixture.with { fixture in
            try await perform(scenario["steps"], fixture)
            try await compare(fixture, scenario["dump"])
        }
    }

    @Test(arguments: GoldenTests.names("scheduled"))
    func `what a scheduler's jobs leave is what they leave with the peer`(name: String) async throws {
        let scenario = try #require(GoldenTests.golden["scheduled"]?[name])
        try await Fixture.with { fixture in
            try await perform(scenario["steps"], fixture)
            try await work(fixture, scenario)
            try await compare(fixture, scenario["after"])
        }
    }

    @Test(arguments: GoldenTests.names("scheduled"), [false, true])
    func `what is scheduled here leaves the same when the peer works it, alone or beside`(
        name: String, isShared: Bool
    ) async throws {
        let scenario = try #require(GoldenTests.golden["scheduled"]?[name])
        try await Fixture.with { fixture in
            let peer = try Peer(fixture.redis)
            defer { peer.close() }
            try await perform(scenario["steps"], fixture)
            try peer.call(.string("start"), scenario["script"] ?? .null)
            if isShared { try await work(fixture, scenario) } else { try await eventuallyEnded(fixture, scenario) }
            try peer.call(.string("stop"))
            try await compare(fixture, scenario["after"])
        }
    }

    private func work(_ fixture: Fixture, _ scenario: JSONNode) async throws {
        let worker = try fixture.worker { job, _ in
            let steps = scenario["script"]?[job.name]?.elements ?? []
            let step = steps[min(job.attempt, steps.count) - 1]
            if let text = step.string { return .failed(reason: String(text.dropFirst())) }
            return .completed(step.text)
        }
        try await fixture.running(worker) {
            try await eventuallyEnded(fixture, scenario)
        }
    }

    private func eventuallyEnded(_ fixture: Fixture, _ scenario: JSONNode) async throws {
        try await eventually("all jobs have ended") {
            let ended = try await fixture.events().count { $0.hasPrefix("completed ") || $0.hasPrefix("failed ") }
            return Double(ended) >= scenario["terminal"]?.number ?? 0
        }
    }

    private func perform(_ steps: JSONNode?, _ fixture: Fixture) async throws {
        let scheduler = try BullScheduler(queue: Fixture.queue, client: fixture.client)
        for step in steps?.elements ?? [] {
            // Two operations within a millisecond would share a time.
            try await Task.sleep(for: .milliseconds(3))
            let parts = step.elements
            let id = parts[1].string ?? ""
            switch parts[0].string {
            case "upsert": try await scheduler.upsert(id, schedule(parts))
            case "remove": try await scheduler.remove(id)
            default:
                let slot = Int64(try #require(try await scheduler.get(id)).next.milliseconds)
                try await fixture.call("LREM", "bull:q:wait", "0", "repeat:\(id):\(slot)")
                try await fixture.call("LPUSH", "bull:q:active", "repeat:\(id):\(slot)")
            }
        }
    }

    private func schedule(_ parts: [JSONNode]) -> BullSchedule {
        let now = Timestamp.now.milliseconds
        func time(_ name: String) -> Timestamp? {
            let text = parts[2][name]?.string?.dropFirst()
            return text.flatMap { Int64($0) }.map { Timestamp(milliseconds: now + $0) }
        }
        func duration(_ name: String) -> Duration? { parts[2][name]?.integer.map { .milliseconds($0) } }
        let rhythm: BullSchedule.Rhythm =
            if let every = duration("every") {
                .every(every, offset: duration("offset"))
            } else {
                .pattern(parts[2]["pattern"]?.string ?? "", timeZone: parts[2]["tz"]?.string)
            }
        let data = parts.count > 4 && parts[4] != .null ? parts[4].text : nil
        let options = parts.count > 5 ? BullJobOptions(json: parts[5].text) : nil
        return BullSchedule(
            rhythm, start: time("startDate"), end: time("endDate"), limit: parts[2]["limit"]?.integer,
            name: parts.count > 3 ? parts[3].string : nil, data: data, options: options ?? .init())
    }

    // MARK: Dumps

    private func compare(_ fixture: Fixture, _ expected: JSONNode?) async throws {
        let raw = try await rawDump(fixture)
        let slots = slots(of: raw)
        var found: [String: JSONNode] = [:]
        for (name, value) in raw {
            found[named(.string(name), slots).string ?? name] = try masked(name, value, raw, slots)
        }
        #expect(Set(found.keys) == Set(expected?.members.keys ?? [:].keys))
        for (name, value) in found {
            #expect(freed(value).text == freed(expected?[name] ?? .null).text, "key \(name)")
        }
    }

    /// The one freedom: options of ours always tell the attempts, of the peer not always.
    private func freed(_ node: JSONNode) -> JSONNode {
        guard case .object(var fields) = node, case .object(var options)? = fields["opts"] else { return node }
        if options["attempts"] == .number(0) { options["attempts"] = nil }
        fields["opts"] = options.isEmpty ? nil : .object(options)
        return .object(fields)
    }

    private func rawDump(_ fixture: Fixture) async throws -> [String: JSONNode] {
        var dump: [String: JSONNode] = [:]
        for key in try await fixture.strings("KEYS", "bull:q:*") {
            let name = String(key.dropFirst("bull:q:".count))
            guard !GoldenTests.skipped.contains(name) else { continue }
            switch try await fixture.call("TYPE", key).string {
            case "hash": dump[name] = .object(try await fixture.hash(name).mapValues { .string($0) })
            case "list": dump[name] = .array(try await fixture.strings("LRANGE", key, "0", "-1").map { .string($0) })
            case "zset":
                let flat = try await fixture.strings("ZRANGE", key, "0", "-1", "WITHSCORES")
                dump[name] = .array(
                    stride(from: 0, to: flat.count, by: 2).map {
                        .array([.string(flat[$0]), .number(Double(flat[$0 + 1]) ?? 0)])
                    })
            case "string": dump[name] = .string(try await fixture.call("GET", key).string ?? "")
            default:
                let entries = try await fixture.call("XRANGE", key, "-", "+").array ?? []
                dump[name] = .array(
                    entries.compactMap { entry in
                        let flat = (entry.array?.last?.array ?? []).compactMap(\.string)
                        if flat == ["event", "drained"] { return nil }
                        return .array(
                            stride(from: 0, to: flat.count - 1, by: 2).map {
                                .array([.string(flat[$0]), .string(flat[$0 + 1])])
                            })
                    })
            }
        }
        return dump
    }

    /// The times in the ids of iterations, named T1, T2 and so on in their order.
    private func slots(of raw: [String: JSONNode]) -> [String: String] {
        var found: Set<String> = []
        let text = JSONNode.object(raw).text
        for match in text.matches(of: /repeat:[\w:]+:(\d{13})/) { found.insert(String(match.1)) }
        return Dictionary(uniqueKeysWithValues: found.sorted().enumerated().map { ($1, "T\($0 + 1)") })
    }

    private func slot(in name: String) -> String? {
        name.wholeMatch(of: /repeat:[\w:]+:(\d{13})/).map { String($0.1) }
    }

    private func named(_ node: JSONNode, _ slots: [String: String]) -> JSONNode {
        switch node {
        case .object(let members): return .object(members.mapValues { named($0, slots) })
        case .array(let elements): return .array(elements.map { named($0, slots) })
        case .string(let text):
            if let slot = slot(in: text) { return .string(text.dropLast(13) + (slots[slot] ?? "T")) }
            return Double(text).map(GoldenTests.isTime) == true ? .string("T") : node
        case .number(let number): return GoldenTests.isTime(number) ? .string("T") : node
        default: return node
        }
    }

    private func masked(
        _ name: String, _ value: JSONNode, _ raw: [String: JSONNode], _ slots: [String: String]
    ) throws -> JSONNode {
        func slotName(_ time: Double) -> JSONNode { .string(slots["\(Int64(time))"] ?? "T") }
        func unquoted(_ fields: [String: JSONNode], _ names: String...) -> [String: JSONNode] {
            fields.reduce(into: [:]) { result, field in
                let text = field.value.string ?? ""
                let node = names.contains(field.key) ? JSONNode(parsing: text) ?? .null : field.value
                result[field.key] = named(node, slots)
            }
        }
        if let slot = slot(in: name) {
            let at = try #require(Double(slot))
            let fields = value.members
            let timestamp = try #require(fields["timestamp"]?.string.flatMap(Double.init))
            func leads(_ delay: Double) -> JSONNode {
                delay != 0 && timestamp + delay == at ? slotName(at) : .number(delay)
            }
            var options = try #require(JSONNode(parsing: fields["opts"]?.string ?? "")).members
            options["delay"] = leads(options["delay"]?.number ?? -1)
            if options["repeat"]?["pattern"] != nil, options["prevMillis"] == .number(at) {
                options["prevMillis"] = slotName(at)
            }
            var result = unquoted(fields, "data", "returnvalue")
            result["opts"] = named(.object(options), slots)
            result["delay"] = leads(fields["delay"]?.string.flatMap(Double.init) ?? -1)
            if let stacktrace = fields["stacktrace"]?.string {
                result["stacktrace"] = .number(Double(JSONNode(parsing: stacktrace)?.elements.count ?? -1))
            }
            return .object(result)
        }
        if name.hasPrefix("repeat:") {
            var fields = value.members
            if let offset = fields["offset"]?.string.flatMap(Int.init), offset != 0 {
                let every = fields["every"]?.string.flatMap(Int.init) ?? 0
                let id = String(name.dropFirst("repeat:".count))
                let planned = raw["repeat"]?.elements.first { $0.elements[0].string == id }?.elements[1].integer ?? 0
                fields["offset"] = .string(every > 0 && planned % every == offset ? "slot" : "other")
            }
            return .object(unquoted(fields, "data", "opts"))
        }
        switch name {
        case "delayed", "repeat":
            let factor: Double = name == "delayed" ? 4096 : 1
            return .array(
                value.elements.map { pair in
                    let time = ((pair.elements[1].number ?? 0) / factor).rounded(.down)
                    return .array([named(pair.elements[0], slots), slotName(time)])
                })
        case "events":
            return .array(
                value.elements.map { event in
                    .array(
                        event.elements.map { field in
                            let isDelay = field.elements[0].string == "delay"
                            let known = isDelay ? field.elements[1].string.flatMap { slots[$0] } : nil
                            return .array([
                                field.elements[0], known.map { .string($0) } ?? named(field.elements[1], slots),
                            ])
                        })
                })
        default: return named(value, slots)
        }
    }
}
