import BullQueue
import FunctionKit
import RedisClient
import Testing

@Suite(.serialized) struct OutcomeTests {
    @Test func `a place that a late handler holds is not used before it is given back`() async throws {
        try await Fixture.with { fixture in
            _ = try await fixture.producer().add([.init("late", data: "{}"), .init("next", data: "{}")])
            let started = Record<String>()
            let controls = Record<BullJobControl>()
            let worker = try fixture.worker { job, control in
                started.append(job.name)
                if job.name == "late" {
                    control.takePlace()
                    controls.append(control)
                    return .failed(reason: "timeout_error: too long")
                }
                return .completed("null")
            }
            try await fixture.running(worker) {
                try await eventually("the first has failed") { try await fixture.count("failed") == 1 }
                // Jobs that come meanwhile wake nobody up either.
                _ = try await fixture.producer().add([.init("third", data: "{}")])
                try await Task.sleep(for: .milliseconds(1500))
                #expect(started.all == ["late"])
                #expect(try await fixture.count("wait") == 2)
                controls.all[0].givePlaceBack()
                try await eventually("the others are worked") { try await fixture.count("completed") == 2 }
            }
        }
    }

    @Test func `a postponed job comes back later and its attempt does not count`() async throws {
        try await Fixture.with { fixture in
            _ = try await fixture.producer().add([.init("n", data: "{}")])
            let starts = Record<Int64>()
            let worker = try fixture.worker { job, _ in
                #expect(job.attempt == 1)
                return starts.append(Timestamp.now.milliseconds) == 1 ? .postponed(.milliseconds(200)) : .completed("1")
            }
            try await fixture.running(worker) {
                try await eventually("it is completed") { try await fixture.count("completed") == 1 }
            }
            #expect(starts.all[1] - starts.all[0] >= 200)
            let hash = try await fixture.hash("1")
            #expect(hash["atm"] == "1" && hash["ats"] == "2" && hash["failedReason"] == nil)
        }
    }

    @Test func `a rate limit by hand holds back the whole queue and the job goes first afterwards`() async throws {
        try await Fixture.with { fixture in
            _ = try await fixture.producer().add((0..<3).map { .init("n\($0)", data: "{}") })
            let starts = Record<(name: String, at: ContinuousClock.Instant)>()
            let worker = try fixture.worker {
                $0.rateLimit = .init(max: 1000, window: .seconds(1))
            } handler: { job, _ in
                starts.append((job.name, .now)) == 1 ? .rateLimited(.milliseconds(300)) : .completed("null")
            }
            try await fixture.running(worker) {
                try await eventually("all are completed") { try await fixture.count("completed") == 3 }
            }
            #expect(starts.all.map(\.name) == ["n0", "n0", "n1", "n2"])
            #expect(starts.all[1].at - starts.all[0].at >= .milliseconds(290))
            #expect(try await fixture.hash("1")["atm"] == "1")
        }
    }

    @Test func `a job waits for children that it adds itself and finds their results`() async throws {
        try await Fixture.with { fixture in
            let producer = try fixture.producer()
            _ = try await producer.add([.init("parent", data: "{}", options: .init(id: "p"))])
            let results = Record<[String: String]>()
            let worker = try fixture.worker { job, control in
                do {
                    guard job.name == "parent" else { return .completed("{\"child\":true}") }
                    if job.attemptsStarted == 1 {
                        let child = BullJobOptions(id: "c", parent: BullParent(id: job.id, queue: Fixture.queue))
                        _ = try await producer.add([.init("child", data: "{}", options: child)])
                        return try await control.waitForChildren() ? .moved : .failed(reason: "nothing to wait for")
                    }
                    #expect(try await !control.waitForChildren())
                    results.append(try await control.childResults())
                    return .completed("null")
                } catch {
                    return .failed(reason: "\(error)")
                }
            }
            try await fixture.running(worker) {
                try await eventually("both are completed") { try await fixture.count("completed") == 2 }
            }
            #expect(results.all == [["bull:q:c": "{\"child\":true}"]])
            let moves = try await fixture.events().filter { $0.contains(" p ") || $0.hasSuffix(" p") }
            #expect(moves.contains { $0.hasPrefix("waiting-children") })
        }
    }

    @Test func `a tree over two queues is worked from the leaves to the root`() async throws {
        try await Fixture.with { fixture in
            let leaf = BullFlow(queue: "leaves", job: .init("leaf", data: "1", options: .init(onFailure: .isIgnored)))
            let flow = BullFlow(
                queue: Fixture.queue, job: .init("root", data: "{}"),
                children: [
                    leaf, leaf,
                    BullFlow(queue: Fixture.queue, job: .init("branch", data: "{}"), children: [leaf]),
                ])
            let added = try await BullFlowProducer(client: fixture.client).add(flow)
            #expect(added.children.count == 3 && added.children[2].children.count == 1)
            #expect(try await fixture.count("waiting-children") == 2)
            let order = Record<String>()
            let worker = try fixture.worker { job, _ in
                order.append(job.name)
                return .completed("null")
            }
            let leaves = try BullWorker(
                queue: "leaves", client: fixture.client, lockLoop: fixture.loop, logger: fixture.logger
            ) { job, _ in
                order.append("leaf") == 1 ? .failed(reason: "dry", retry: .never) : .completed("{\"leaf\":1}")
            }
            try await fixture.running(worker, leaves) {
                try await eventually("the root is completed") { try await fixture.count("completed") == 2 }
            }
            #expect(order.all.suffix(1) == ["root"])
            let root = "bull:q:\(added.id)"
            #expect(try await fixture.strings("HKEYS", root + ":failed").count == 1)
            #expect(try await fixture.strings("HKEYS", root + ":processed").count == 2)
        }
    }
}
