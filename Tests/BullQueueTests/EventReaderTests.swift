import FunctionKit
import RedisClient
import Testing

@testable import BullQueue

@Suite(.serialized) struct EventReaderTests {
    private struct Refused: Error {}

    private func reader(
        _ fixture: Fixture, kinds: Set<QueueEvent.Kind> = [.completed, .failed],
        _ change: (inout BullEventReader.Options) -> Void = { _ in }, handler: @escaping BullEventReader.Handler
    ) throws -> BullEventReader {
        var options = BullEventReader.Options()
        options.redeliverAfter = .seconds(10)
        options.idleDelay = .milliseconds(500)
        change(&options)
        return try BullEventReader(
            queue: Fixture.queue, group: "g", kinds: kinds, options: options, client: fixture.client,
            logger: fixture.logger, handler: handler)
    }

    private func reading(_ readers: BullEventReader..., body: () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for reader in readers { group.addTask { try await reader.run() } }
            do {
                try await body()
            } catch {
                group.cancelAll()
                throw error
            }
            group.cancelAll()
            try await group.waitForAll()
        }
    }

    private func work(_ fixture: Fixture, _ count: Int) async throws {
        _ = try await fixture.producer().add((0..<count).map { .init("n", data: "\($0)") })
        let worker = try fixture.worker {
            $0.concurrency = 4
        } handler: { job, control in
            try? await control.updateProgress("1")
            return job.data == "1" ? .failed(reason: "no", retry: .never) : .completed(job.data)
        }
        try await fixture.running(worker) {
            try await eventually("worked") {
                try await fixture.counts("completed", "failed").reduce(0, +) >= count
            }
        }
    }

    /// How many events are delivered and not acknowledged; `nil` without a group.
    private func pending(_ fixture: Fixture) async -> Int64? {
        try? await fixture.call("XPENDING", "bull:q:events", "g").array?.first?.integer
    }

    private func text(_ event: QueueEvent) -> String { "\(event.kind) \(event.jobID) \(event.data)" }

    @Test func `each wanted event goes to one reader of the group`() async throws {
        try await Fixture.with { fixture in
            let seen = Record<String>()
            let a = try reader(fixture) { seen.append(text($0)) }
            let b = try reader(fixture) { seen.append(text($0)) }
            try await reading(a, b) {
                try await work(fixture, 40)
                try await eventually("all came") { seen.count >= 40 }
                try await eventually("all is acknowledged") {
                    await pending(fixture) == 0
                }
            }
            let expected = (1...40).map { $0 == 2 ? "failed 2 no" : "completed \($0) \($0 - 1)" }
            #expect(seen.all.sorted() == expected.sorted())
            #expect(try await fixture.call("XINFO", "CONSUMERS", "bull:q:events", "g") == .array([]))
        }
    }

    @Test func `a group that begins at the end does not get what was there`() async throws {
        try await Fixture.with { fixture in
            try await work(fixture, 3)
            let seen = Record<String>()
            let reader = try reader(fixture, kinds: [.progress]) {
                $0.start = .end
            } handler: {
                seen.append(text($0))
            }
            try await reading(reader) {
                try await eventually("the group exists") {
                    try await fixture.call("XINFO", "GROUPS", "bull:q:events").array?.count == 1
                }
                try await fixture.call("XADD", "bull:q:events", "*", "event", "progress", "jobId", "9", "data", "7")
                try await eventually("it came") { seen.count > 0 }
            }
            #expect(seen.all == ["progress 9 7"])
        }
    }

    @Test func `a failed event comes again, a bounded number of times`() async throws {
        try await Fixture.with { fixture in
            let seen = Record<String>()
            let reader = try reader(fixture) {
                ($0.maxDeliveries, $0.redeliverAfter) = (3, .milliseconds(300))
            } handler: { event in
                let number = seen.append(event.jobID)
                if event.jobID == "1" || number == 1 { throw Refused() }
            }
            for id in ["2", "1", "3"] {
                try await fixture.call("XADD", "bull:q:events", "*", "event", "completed", "jobId", id)
            }
            try await reading(reader) {
                try await eventually("nothing is pending") {
                    await pending(fixture) == 0 && seen.all.count { $0 == "1" } == 3
                }
            }
            #expect(seen.all.count { $0 == "2" } == 2)
            #expect(seen.all.count { $0 == "3" } == 1)
        }
    }

    @Test func `what a dead reader left is taken over`() async throws {
        try await Fixture.with { fixture in
            try await work(fixture, 3)
            try await fixture.call("XGROUP", "CREATE", "bull:q:events", "g", "0")
            try await fixture.call(
                "XREADGROUP", "GROUP", "g", "dead", "COUNT", "1000", "STREAMS", "bull:q:events", ">")
            let seen = Record<String>()
            let reader = try reader(fixture) {
                $0.redeliverAfter = .milliseconds(300)
            } handler: {
                seen.append(text($0))
            }
            try await reading(reader) {
                try await eventually("all came") { Set(seen.all).count == 3 }
                try await eventually("all is acknowledged") { await pending(fixture) == 0 }
            }
            #expect(Set(seen.all) == ["completed 1 0", "failed 2 no", "completed 3 2"])
        }
    }

    @Test func `what a known reader left is released, and taken over at once`() async throws {
        try await Fixture.with { fixture in
            try await work(fixture, 3)
            try await fixture.call("XGROUP", "CREATE", "bull:q:events", "g", "0")
            try await fixture.call(
                "XREADGROUP", "GROUP", "g", "dead", "COUNT", "1000", "STREAMS", "bull:q:events", ">")
            try await fixture.call("XADD", "bull:q:events", "*", "event", "completed", "jobId", "other")
            try await fixture.call("XREADGROUP", "GROUP", "g", "alive", "STREAMS", "bull:q:events", ">")
            let recovery = try BullRecovery(queue: Fixture.queue, client: fixture.client)
            let count = try await recovery.releaseEvents(ofLost: "dead", group: "g", redeliverAfter: .seconds(10))
            #expect(count > 3)
            #expect(try await recovery.releaseEvents(ofLost: "dead", group: "none", redeliverAfter: .seconds(10)) == 0)
            let pending = try await fixture.call("XPENDING", "bull:q:events", "g", "-", "+", "1000").array ?? []
            #expect(pending.allSatisfy { $0.array?.last?.integer == 1 })
            let seen = Record<String>()
            let reader = try reader(fixture) { seen.append(text($0)) }
            try await reading(reader) {
                try await eventually("all came", within: .seconds(5)) { seen.count == 3 }
                try await eventually("one is left") { await self.pending(fixture) == 1 }
            }
            #expect(Set(seen.all) == ["completed 1 0", "failed 2 no", "completed 3 2"])
        }
    }

    @Test func `what was trimmed is not released, so that its loss is noticed`() async throws {
        try await Fixture.with { fixture in
            try await work(fixture, 1)
            try await fixture.call("XGROUP", "CREATE", "bull:q:events", "g", "0")
            try await fixture.call("XREADGROUP", "GROUP", "g", "dead", "STREAMS", "bull:q:events", ">")
            let before = await pending(fixture)
            try await fixture.call("XTRIM", "bull:q:events", "MAXLEN", "0")
            let recovery = try BullRecovery(queue: Fixture.queue, client: fixture.client)
            #expect(try await recovery.releaseEvents(ofLost: "dead", group: "g", redeliverAfter: .seconds(1)) == 0)
            #expect(await pending(fixture) == before)
        }
    }

    @Test func `an event that ends its process costs the others none of their deliveries`() async throws {
        try await Fixture.with { fixture in
            for id in 1...10 {
                try await fixture.call("XADD", "bull:q:events", "*", "event", "completed", "jobId", "\(id)")
            }
            let recovery = try BullRecovery(queue: Fixture.queue, client: fixture.client)
            let seen = Record<String>()
            for number in 1...5 {
                let reader = try reader(fixture) {
                    ($0.id, $0.maxDeliveries) = ("r\(number)", 3)
                } handler: { event in
                    seen.append(event.jobID)
                    // As if the process ended here: nothing is acknowledged or handed over.
                    if event.jobID == "2" { try await Task.sleep(for: .seconds(3600)) }
                }
                let task = Task { try? await reader.run() }
                try await eventually("round \(number)") {
                    seen.all.count { $0 == "2" } == number || seen.all.last == "10"
                }
                if seen.all.last == "10" { try await eventually("all told") { await pending(fixture) == 0 } }
                try await recovery.releaseEvents(ofLost: "r\(number)", group: "g", redeliverAfter: .seconds(10))
                task.cancel()
                await task.value
                try await recovery.releaseEvents(ofLost: "r\(number)", group: "g", redeliverAfter: .seconds(10))
            }
            #expect(seen.all.count { $0 == "2" } == 3)
            #expect(Set(seen.all).count == 10 && seen.count == 12)
        }
    }

    @Test func `a reader that is stopped hands over what it has not begun`() async throws {
        try await Fixture.with { fixture in
            for id in 1...10 {
                try await fixture.call("XADD", "bull:q:events", "*", "event", "completed", "jobId", "\(id)")
            }
            let seen = Record<String>()
            let first = try reader(fixture) { event in
                seen.append(event.jobID)
                if event.jobID == "2" {
                    // Until its reader is stopped; then it is handled to its end.
                    try? await Task.sleep(for: .seconds(3600))
                }
            }
            try await reading(first) { try await eventually("begun") { seen.count == 2 } }
            #expect(seen.all == ["1", "2"])
            let second = try reader(fixture) { seen.append($0.jobID) }
            try await reading(second) {
                try await eventually("all came", within: .seconds(5)) { seen.count == 10 }
                try await eventually("all is acknowledged") { await pending(fixture) == 0 }
            }
            #expect(seen.all == (1...10).map(String.init))
        }
    }

    @Test func `terminal events that were trimmed are replayed`() async throws {
        try await Fixture.with { fixture in
            // A group from the very beginning that has not read yet.
            let began = Timestamp.now
            try await fixture.call("XGROUP", "CREATE", "bull:q:events", "g", "0", "MKSTREAM")
            try await work(fixture, 30)
            try await fixture.call("XTRIM", "bull:q:events", "MAXLEN", "10")
            let opened = Timestamp.now
            let seen = Record<String>()
            // However late an event is handed out, it tells when it happened.
            let reader = try reader(fixture) { event in
                if event.jobID != "new" { #expect((began...opened).contains(event.at)) }
                seen.append(text(event))
            }
            try await reading(reader) {
                try await eventually("all came") { Set(seen.all).count == 30 }
                _ = try await fixture.producer().add("n", data: "{}", options: .init())
                try await fixture.call("XADD", "bull:q:events", "*", "event", "completed", "jobId", "new")
                try await eventually("and later ones") { seen.all.contains("completed new null") }
            }
            #expect(seen.all.contains("failed 2 no"))
            #expect(try await fixture.call("EXISTS", "bull:q:events-replay:g").integer == 0)
            #expect(seen.all.count { $0 == "completed new null" } == 1)
        }
    }

    @Test func `a gap that another reader has closed meanwhile is not replayed again`() async throws {
        try await Fixture.with { fixture in
            let seen = Record<String>()
            let reader = try reader(fixture) { seen.append(text($0)) }
            try await fixture.call("XGROUP", "CREATE", "bull:q:events", "g", "0", "MKSTREAM")
            try await work(fixture, 3)
            // Both have found the same gap; one has the lease first, the other only when it is done.
            try await reader.replay(after: "0-0", before: nil)
            #expect(seen.count == 3)
            try await reader.replay(after: "0-0", before: nil)
            try await reader.replay(after: nil, before: nil)
            #expect(seen.count == 3)
            #expect(try await fixture.call("EXISTS", "bull:q:events-replay:g").integer == 0)
        }
    }

    @Test func `a group that has read what was trimmed misses nothing`() async throws {
        try await Fixture.with { fixture in
            let seen = Record<String>()
            let reader = try reader(fixture) { seen.append(text($0)) }
            try await reading(reader) {
                try await work(fixture, 5)
                try await eventually("all came") { seen.count == 5 }
                try await eventually("read") {
                    await pending(fixture) == 0
                }
                try await fixture.call("XTRIM", "bull:q:events", "MAXLEN", "0")
                try await fixture.call("XADD", "bull:q:events", "*", "event", "completed", "jobId", "new")
                try await eventually("the new one came") { seen.count >= 6 }
            }
            #expect(seen.count == 6, "\(seen.all)")
        }
    }

    @Test func `a lost group is made anew and terminal events are replayed`() async throws {
        try await Fixture.with { fixture in
            let seen = Record<String>()
            let reader = try reader(fixture) { seen.append(text($0)) }
            try await reading(reader) {
                try await work(fixture, 5)
                try await eventually("all came") { seen.count == 5 }
                try await fixture.call("DEL", "bull:q:events")
                try await eventually("they came again") { seen.count == 10 }
                try await fixture.call("FLUSHALL")
                try await work(fixture, 2)
                try await eventually("it goes on") { seen.count >= 12 }
            }
            // At least once: the last one may come by replay and by the stream.
            #expect(Set(seen.all[10...]) == ["completed 1 0", "failed 2 no"])
        }
    }
}
