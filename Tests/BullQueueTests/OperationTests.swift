import FunctionKit
import RedisClient
import Testing

@testable import BullQueue

/// What an operation by hand leaves is what the PyPI client leaves; see Fixtures/make_golden.py.
@Suite(.serialized) struct OperationTests {
    @Test(arguments: GoldenTests.names("operations"))
    func `an operation leaves what the peer's leaves`(name: String) async throws {
        let scenario = try #require(GoldenTests.golden["operations"]?[name])
        try await Fixture.with { fixture in
            try await GoldenTests.load(fixture, scenario["before"] ?? .null, dueInMs: 3_600_000)
            let result = try await perform(fixture.control(), scenario["operation"]?.elements ?? [])
            #expect(GoldenTests.json(result) == GoldenTests.json(scenario["result"] ?? .null))
            let operation = scenario["operation"]?.elements ?? []
            let takesChildren = operation.first?.string == "remove" && operation[2] == .bool(true)
            try await GoldenTests.compare(
                fixture, scenario["after"] ?? .null, isByHand: true, hasOrder: !takesChildren)
        }
    }

    /// Does what `perform` of make_golden.py has the peer do.
    private func perform(_ control: BullQueueControl, _ operation: [JSONNode]) async throws -> JSONNode {
        func text(_ index: Int) -> String { operation[index].string ?? "" }
        func number(_ index: Int) -> Int? { operation[index].integer }
        func flag(_ index: Int) -> Bool { operation[index] == .bool(true) }
        func state(_ index: Int) -> BullJobState {
            text(index) == "wait" ? .waiting : BullJobState(rawValue: text(index)) ?? .unknown
        }
        func told(_ changes: [BullJobChange]) -> JSONNode { changes[0].result == .done ? .null : .string("refused") }
        do {
            switch operation[0].string {
            case "pause": try await control.pause()
            case "resume": try await control.resume()
            case "drain": _ = try await control.drain(includesDelayed: flag(1))
            case "promote": return told(try await control.promote([text(1)]))
            case "promote all": _ = try await control.promoteAll()
            case "retry": return told(try await control.retry([text(1)], in: state(2), resetsAttempts: flag(3)))
            case "retry all": _ = try await control.retryAll(in: state(1))
            case "remove":
                switch try await control.remove([text(1)], takesChildren: flag(2))[0].result {
                case .done: return .number(1)
                case .held: return .number(0)
                case .planned: return .number(-8)
                case .missing, .wrongState: return .number(-1)
                }
            case "clean":
                let limit = number(3).flatMap { $0 > 0 ? $0 : nil }
                let removed = try await control.clean(
                    state(1), olderThan: .milliseconds(number(2) ?? 0), limit: limit)
                // The client goes through lists from their left end and names the ids in that order.
                return .array((text(1) == "wait" ? removed.reversed() : removed).map { .string($0) })
            case "obliterate": try await control.obliterate(force: flag(1))
            case "update data": try await control.updateData(of: text(1), to: GoldenTests.json(operation[2]))
            case "log":
                let keep = number(3).flatMap { $0 > 0 ? $0 : nil }
                return .number(Double(try await control.addLog(text(2), to: text(1), keep: keep)))
            case "change delay": try await control.changeDelay(of: text(1), to: .milliseconds(number(2) ?? 0))
            case "change priority":
                try await control.changePriority(of: text(1), to: number(2) ?? 0, isNext: flag(3))
            case "global concurrency": try await control.setGlobalConcurrency(number(1))
            case "global rate limit":
                try await control.setGlobalRateLimit(
                    number(1).map { BullRateLimit(count: $0, window: .milliseconds(number(2) ?? 0)) })
            default: throw NotInTime(description: "no operation is called \(operation)")
            }
            return .null
        } catch let error as BullError where error.code != .redis {
            return .string("refused")
        }
    }
}

extension Fixture {
    func control() throws -> BullQueueControl { try BullQueueControl(queue: Fixture.queue, client: client) }
}
