import FunctionKit
import Synchronization
import Testing

@testable import BullQueue

/// How workers keep an owner's running jobs within the bound, and lose no time with it.
@Suite(.serialized) struct OwnerBoundTests {
    /// Counts what runs of each owner.
    private final class Tally: Sendable {
        private struct State {
            var running: [String: Int] = [:]
            var most: [String: Int] = [:]
            var order: [String] = []
        }

        private let state = Mutex(State())

        func begin(_ job: BullJob) {
            let owner = String(job.data.dropFirst().prefix(1))
            state.withLock { state in
                state.order.append(job.id)
                state.running[owner, default: 0] += 1
                state.most[owner] = max(state.most[owner] ?? 0, state.running[owner] ?? 0)
            }
        }

        func end(_ job: BullJob) {
            state.withLock { $0.running[String(job.data.dropFirst().prefix(1)), default: 0] -= 1 }
        }

        func most(_ owner: String) -> Int { state.withLock { $0.most[owner] ?? 0 } }
        var order: [String] { state.withLock { $0.order } }
    }

    private func add(
        _ fixture: Fixture, _ owner: String, _ count: Int, attempts: Int = 1, backoff: Backoff? = nil
    ) async throws {
        let jobs = (1...count).map { number in
            BullProducer.NewJob(
                "n", data: "\"\(owner)\"",
                options: BullJobOptions(
                    attempts: attempts, backoff: backoff.map(BullBackoff.init), id: "\(owner)\(number)", owner: owner))
        }
        _ = try await fixture.producer().add(jobs)
    }

    @Test(arguments: [1, 3, 8])
    func `two workers run no more of an owner's jobs than the bound, and all`(bound: Int) async throws {
        try await Fixture.with { fixture in
            try await add(fixture, "a", 120)
            try await add(fixture, "b", 20)
            let tally = Tally()
            let workers = try (0..<2).map { _ in
                try fixture.worker {
                    ($0.concurrency, $0.maxRunningPerOwner, $0.drainDelay) = (8, bound, .seconds(60))
                } handler: { job, _ in
                    tally.begin(job)
                    try? await Task.sleep(for: .milliseconds(2))
                    tally.end(job)
                    return .completed("null")
                }
            }
            try await fixture.running(workers[0], workers[1]) {
                try await eventually("all are completed") { try await fixture.count("completed") == 140 }
            }
            #expect(tally.most("a") <= bound && tally.most("b") <= bound)
            #expect(Set(tally.order).count == 140 && tally.order.count == 140)
            #expect(try await fixture.counts("delayed", "prioritized", "active", "parked") == [0, 0, 0, 0])
        }
    }

    @Test func `a failed attempt's place goes to the next job at once`() async throws {
        try await Fixture.with { fixture in
            try await add(fixture, "a", 12, attempts: 2, backoff: Backoff(.fixed, delay: .milliseconds(150)))
            let tally = Tally()
            let worker = try fixture.worker {
                ($0.concurrency, $0.maxRunningPerOwner, $0.drainDelay) = (4, 2, .seconds(60))
            } handler: { job, _ in
                tally.begin(job)
                await Task.yield()
                tally.end(job)
                return job.attempt == 1 ? .failed(reason: "once") : .completed("null")
            }
            try await fixture.running(worker) {
                try await eventually("all are completed", within: .seconds(20)) {
                    try await fixture.count("completed") == 12
                }
            }
            #expect(tally.most("a") <= 2 && tally.order.count == 24)
        }
    }

    @Test func `a worker that ends leaves its places to the other one`() async throws {
        try await Fixture.with { fixture in
            try await add(fixture, "a", 3)
            let release = Record<Bool>()
            let began = Record<String>()
            let first = try fixture.worker {
                ($0.concurrency, $0.maxRunningPerOwner, $0.drainDelay) = (4, 1, .seconds(60))
            } handler: { job, _ in
                began.append(job.id)
                while release.count == 0 { try? await Task.sleep(for: .milliseconds(2)) }
                return .completed("null")
            }
            let second = try fixture.worker {
                ($0.concurrency, $0.maxRunningPerOwner, $0.drainDelay) = (4, 1, .seconds(60))
            } handler: { _, _ in
                .completed("null")
            }
            try await fixture.running(first) {
                try await eventually("the first is worked") { began.count == 1 }
                try await fixture.running(second) {
                    try await eventually("the others are parked") { try await fixture.count("delayed") == 2 }
                    first.shutdown(grace: .seconds(10))
                    release.append(true)
                    try await eventually("all are completed", within: .seconds(5)) {
                        try await fixture.count("completed") == 3
                    }
                }
            }
            #expect(began.all == ["a1"])
        }
    }
}
