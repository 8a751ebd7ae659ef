import FunctionKit
import NIOCore
import RedisClient
import Testing

@testable import BullQueue
@testable import Host

/// What a supervisor makes of a look at a queue.
struct QueueNeedsTests {
    private struct Seen {
        var waiting = 0
        var active = 0
        var marked = 0
        var isPaused = false
        var isMaxed = false
        var limitedMs = 0
        var dueMs = 0
        var isStalledNext = false
        /// Of each group: whether there is something unread, and ms to the next delivery.
        var groups: [(Bool, Int)] = []

        var look: BullQueueLook {
            func number(_ value: Int) -> RESPValue { .integer(Int64(value)) }
            func flag(_ value: Bool) -> RESPValue { .integer(value ? 1 : 0) }
            let jobs = [
                number(waiting), number(active), number(marked), flag(isPaused), flag(isMaxed), number(limitedMs),
                number(dueMs), flag(isStalledNext),
            ]
            let groups = groups.map { RESPValue.array([flag($0.0), .bytes(ByteBuffer(string: "0-0")), number($0.1)]) }
            // The reply of the script, read as it is in use.
            let reply = RESPValue.array([.bytes(ByteBuffer(string: "1-0")), .array(jobs), .array(groups)])
            guard let look = BullQueueLook(reply) else { preconditionFailure("the reply cannot be read") }
            return look
        }
    }

    private final class Bench {
        var needs: QueueNeeds
        var running: [String: Int] = [:]
        var now = NIODeadline.uptimeNanoseconds(1_000_000_000_000)
        let time = Timestamp(milliseconds: 1_000_000)

        init(concurrency: Int = 2, readers: [String] = []) {
            needs = QueueNeeds(
                workers: [.init(function: "w", concurrency: concurrency)], readers: readers, stalledCheck: .seconds(3))
        }

        func plan(_ seen: Seen) -> QueueNeeds.Plan {
            needs.plan(seen.look, now: now, time: time) { running[$0] ?? 0 }
        }

        func asked(_ seen: Seen) -> [String] { plan(seen).requests.map { "\($0.function) \($0.processes)" } }
    }

    @Test func `an empty queue is left alone and listened to`() {
        let plan = Bench().plan(Seen())
        #expect(plan.requests.isEmpty && plan.listens && !plan.checksForStalled)
        #expect(plan.wait == .seconds(5) && plan.pause == .milliseconds(20))
    }

    @Test func `a job wakes a function, and again while no process runs`() {
        let bench = Bench()
        for _ in 0..<2 {
            let plan = bench.plan(Seen(waiting: 1))
            #expect(plan.requests == [.init(function: "w", processes: 1)])
            #expect(plan.wait == .milliseconds(250) && !plan.listens)
        }
    }

    @Test func `what cannot be started wakes nobody`() {
        let bench = Bench()
        #expect(bench.asked(Seen(waiting: 1, isPaused: true)) == [])
        #expect(bench.asked(Seen(waiting: 1, isMaxed: true)) == [])
        let plan = bench.plan(Seen(waiting: 1, limitedMs: 700))
        #expect(plan.requests.isEmpty && plan.wait == .milliseconds(700))
        #expect(bench.asked(Seen(isPaused: true, dueMs: 999_000)) == [])
    }

    @Test func `a delayed job wakes its function a moment before its time`() {
        let bench = Bench()
        let early = bench.plan(Seen(dueMs: 1_003_000))
        #expect(early.requests.isEmpty && early.wait == .milliseconds(2900) && early.listens)
        #expect(bench.asked(Seen(dueMs: 1_000_100)) == ["w 1"])
        #expect(bench.asked(Seen(dueMs: 900_000)) == ["w 1"])
        // One that runs is kept from ending just before.
        bench.running["w"] = 2
        #expect(bench.asked(Seen(dueMs: 1_000_100)) == ["w 2"])
    }

    @Test func `another process is started only when jobs wait for a while and every place is taken`() {
        let bench = Bench()
        bench.running["w"] = 1
        #expect(bench.asked(Seen(waiting: 5, active: 1)) == [])
        bench.now = bench.now + .milliseconds(250)
        #expect(bench.asked(Seen(waiting: 5, active: 1)) == [])
        #expect(bench.asked(Seen(waiting: 5, active: 2)) == [])
        bench.now = bench.now + .milliseconds(100)
        #expect(bench.asked(Seen(waiting: 5, active: 2)) == [])
        bench.now = bench.now + .milliseconds(150)
        #expect(bench.asked(Seen(waiting: 5, active: 2)) == ["w 2"])
        bench.running["w"] = 2
        bench.now = bench.now + .milliseconds(250)
        #expect(bench.asked(Seen(waiting: 5, active: 2)) == [])
        bench.now = bench.now + .milliseconds(250)
        #expect(bench.asked(Seen(waiting: 5, active: 4)) == [])
        bench.now = bench.now + .milliseconds(250)
        #expect(bench.asked(Seen(waiting: 5, active: 4)) == ["w 3"])
    }

    @Test func `a job that is to be worked alone counts as if every place were taken`() {
        let bench = Bench(concurrency: 100)
        bench.running["w"] = 1
        #expect(bench.asked(Seen(waiting: 1, active: 1, isStalledNext: true)) == [])
        bench.now = bench.now + .milliseconds(250)
        #expect(bench.asked(Seen(waiting: 1, active: 1, isStalledNext: true)) == ["w 2"])
    }

    @Test func `events wake their function, and a process that runs is left to itself`() {
        let bench = Bench(readers: ["a", "b"])
        #expect(bench.asked(Seen(groups: [(true, -1), (false, -1)])) == ["a 1"])
        #expect(bench.asked(Seen(groups: [(false, 0), (true, 5000)])) == ["a 1", "b 1"])
        bench.running["a"] = 1
        #expect(bench.asked(Seen(groups: [(true, 0), (false, -1)])) == [])
        let later = bench.plan(Seen(groups: [(false, -1), (false, 120)]))
        #expect(later.requests.isEmpty && later.wait == .milliseconds(120) && later.listens)
    }

    @Test func `the check for stalled jobs is made at its interval while nobody works the queue`() {
        let bench = Bench()
        var checks: [Bool] = []
        for _ in 0..<7 {
            let plan = bench.plan(Seen(active: 1))
            #expect(plan.wait <= .seconds(3))
            checks.append(plan.checksForStalled)
            bench.now = bench.now + .seconds(1)
        }
        #expect(checks == [true, false, false, true, false, false, true])
        bench.running["w"] = 1
        #expect(!bench.plan(Seen(active: 1)).checksForStalled)
        bench.running["w"] = 0
        #expect(!bench.plan(Seen()).checksForStalled)
        #expect(bench.plan(Seen(marked: 1)).checksForStalled)
    }

    @Test func `readers alone need no check`() {
        var needs = QueueNeeds(workers: [], readers: ["a"], stalledCheck: .seconds(3))
        let look = Seen(waiting: 3, active: 2, groups: [(false, -1)]).look
        let plan = needs.plan(look, now: .now(), time: .now) { _ in 0 }
        #expect(plan.requests.isEmpty && !plan.checksForStalled && plan.pause == .milliseconds(100))
    }
}
