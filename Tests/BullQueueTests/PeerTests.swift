import Foundation
import FunctionKit
import RedisClient
import Synchronization
import Testing

@testable import BullQueue

/// A producer of one kind and a worker of the other, and both on one queue, leave what a run of the PyPI client alone
/// leaves: keys, hash fields, scores and events. The scenarios are those of Fixtures/peer.py.
@Suite(.serialized) struct PeerTests {
    static func names() -> [String] {
        Peer.scenarios.isEmpty ? ["no peer: see FERRY_PYTHON"] : Peer.scenarios.keys.sorted()
    }

    private static let references = Mutex<[String: JSONNode]>([:])

    private struct Run {
        let fixture: Fixture
        let peer: Peer
        let name: String
        let scenario: JSONNode
        var ended: Int { Int(scenario["ended"]?.number ?? Double(scenario["jobs"]?.elements.count ?? 0)) }

        /// Adds the jobs from `first` on, each `step`-th.
        func add(first: Int = 0, step: Int = 1) async throws {
            if let flow = scenario["flow"] {
                _ = try await BullFlowProducer(client: fixture.client).add(try PeerTests.flow(flow))
            }
            let jobs = scenario["jobs"]?.elements ?? []
            for job in stride(from: first, to: jobs.count, by: step).map({ jobs[$0].elements }) {
                let options = try GoldenTests.options(job[2])
                let new = BullProducer.NewJob(job[0].string ?? "", data: GoldenTests.json(job[1]), options: options)
                _ = try await fixture.producer().add([new])
            }
        }

        /// Works until all jobs have ended, and gives how many starts were this worker's.
        func work() async throws -> Int {
            let started = Record<String>()
            let script = scenario["script"] ?? .null
            let worker = try fixture.worker { job, _ in
                started.append(job.id)
                // As a mailer or a query would.
                try? await Task.sleep(for: .milliseconds(5))
                let steps = script[job.name]?.elements ?? []
                let step = steps[min(job.attempt, steps.count) - 1]
                guard let text = step.string else { return .completed(GoldenTests.json(step)) }
                if text.hasPrefix("!!") { return .failed(reason: String(text.dropFirst(2)), retry: .never) }
                if text.hasPrefix("!") { return .failed(reason: String(text.dropFirst())) }
                return .completed(GoldenTests.json(step))
            }
            try await fixture.running(worker) {
                try await eventually("all jobs have ended", within: .seconds(20)) {
                    let events = try await fixture.events()
                    return events.count { $0.hasPrefix("completed ") || $0.hasPrefix("failed ") } >= ended
                }
            }
            return started.count
        }

        /// What a run of the peer alone leaves; made once for all tests.
        func reference() async throws -> JSONNode {
            if let left = PeerTests.references.withLock({ $0[name] }) { return left }
            try peer.call(.string("flush"))
            try peer.call(.string("add"), .string(name))
            let count = try peer.call(.string("work"), .string(name), .number(Double(ended)))
            #expect(count == .number(Double(ended)), "the peer alone")
            let left = try peer.call(.string("dump"))
            try peer.call(.string("flush"))
            PeerTests.references.withLock { $0[name] = left }
            return left
        }
    }

    /// A tree as the peer's API names it.
    private static func flow(_ node: JSONNode) throws -> BullFlow {
        let job = BullProducer.NewJob(
            node["name"]?.string ?? "", data: GoldenTests.json(node["data"] ?? .null),
            options: try GoldenTests.options(node["opts"] ?? .null))
        return BullFlow(
            queue: node["queueName"]?.string ?? "", job: job,
            children: try (node["children"]?.elements ?? []).map(flow))
    }

    private func run(_ name: String, _ body: (Run) async throws -> Void) async throws {
        let scenario = try #require(Peer.scenarios[name])
        try await Fixture.with { fixture in
            let peer = try Peer(fixture.redis)
            defer { peer.close() }
            try await body(Run(fixture: fixture, peer: peer, name: name, scenario: scenario))
        }
    }

    @Test(arguments: names())
    func `the peer adds, this worker works`(name: String) async throws {
        try await run(name) { run in
            let expected = try await run.reference()
            try run.peer.call(.string("add"), .string(name))
            _ = try await run.work()
            try compare(try run.peer.call(.string("dump")), expected, run.scenario)
        }
    }

    @Test(arguments: names())
    func `this producer adds, the peer works`(name: String) async throws {
        try await run(name) { run in
            let expected = try await run.reference()
            try await run.add()
            let ended = try run.peer.call(.string("work"), .string(name), .number(Double(run.ended)))
            #expect(ended == .number(Double(run.ended)))
            try compare(try run.peer.call(.string("dump")), expected, run.scenario)
        }
    }

    @Test(arguments: names())
    func `both add and work on one queue`(name: String) async throws {
        try await run(name) { run in
            let expected = try await run.reference()
            if run.scenario["flow"] != nil { try await run.add() }
            for index in 0..<(run.scenario["jobs"]?.elements.count ?? 0) {
                if index % 2 == 0 {
                    try await run.add(first: index, step: 1000)
                } else {
                    try run.peer.call(.string("add"), .string(name), .number(Double(index)), .number(1000))
                }
            }
            try run.peer.call(.string("start"), .string(name))
            let ours = try await run.work()
            let theirs = try run.peer.call(.string("stop")).number ?? 0
            if name == "plain" { #expect(ours > 0 && theirs > 0, "\(ours) here, \(theirs) there") }
            try compare(try run.peer.call(.string("dump")), expected, run.scenario, isOrdered: false)
        }
    }

    // MARK: Comparing

    /// Compares dumps key by key. When two workers shared the jobs, which came first, and so which are kept, is open:
    /// then the jobs are compared as a set, each with its fields and events.
    private func compare(
        _ actual: JSONNode, _ expected: JSONNode, _ scenario: JSONNode, isOrdered: Bool = true
    ) throws {
        let actualKeys = comparable(try #require(actual["keys"]).members, isOrdered)
        let expectedKeys = comparable(try #require(expected["keys"]).members, isOrdered)
        #expect(Set(actualKeys.keys) == Set(expectedKeys.keys))
        for (key, value) in expectedKeys { #expect(actualKeys[key] == value, "key \(key)") }
        guard let backoffs = scenario["backoffs"]?.elements, isOrdered else { return }
        for (side, delays) in [("ours", actual["delays"]), ("the peer's", expected["delays"])] {
            let delays = delays?.elements.compactMap(\.number) ?? []
            #expect(delays.count == backoffs.count)
            for (delay, bounds) in zip(delays, backoffs) {
                let least = bounds.elements[0].number ?? 0
                let most = bounds.elements[1].number ?? 0
                // The entry is younger than the worker's decision by what the machine takes to get there.
                #expect((least - 250...most + 1).contains(delay), "\(side)")
            }
        }
    }

    private func comparable(_ keys: [String: JSONNode], _ isOrdered: Bool) -> [String: String] {
        var result: [String: String] = [:]
        var jobs: [String] = []
        for (key, node) in keys {
            let node = GoldenTests.comparable(node, key)
            if isOrdered {
                result[key] = GoldenTests.json(node)
            } else if key == "events" {
                var byJob: [String: [String]] = [:]
                for entry in node.elements {
                    let job = entry.elements.first { $0.elements.first == .string("jobId") }?.elements.last?.string
                    let others = entry.elements.filter { $0.elements.first != .string("jobId") }
                    byJob[job ?? "", default: []].append(GoldenTests.json(.array(others)))
                }
                result[key] = byJob.values.map { $0.joined(separator: " ") }.sorted().joined(separator: "\n")
            } else if case .object(var fields) = node, fields["name"] != nil {
                fields["data"] = nil
                jobs.append(GoldenTests.json(.object(fields)))
            } else if ["completed", "failed"].contains(key) {
                result[key] = "\(node.elements.count)"
            } else {
                result[key] = GoldenTests.json(node)
            }
        }
        if !isOrdered { result["jobs"] = jobs.sorted().joined(separator: "\n") }
        return result
    }
}
