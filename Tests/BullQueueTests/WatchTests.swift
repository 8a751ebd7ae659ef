import FunctionKit
import RedisClient
import Testing

@testable import BullQueue

/// Looking at queues without taking part.
@Suite(.serialized) struct WatchTests {
    private func watch(_ groups: BullQueueWatch.Group...) throws -> BullQueueWatch {
        try BullQueueWatch(queue: Fixture.queue, groups: groups)
    }

    private static func group(_ kinds: Set<QueueEvent.Kind> = [.completed, .failed]) -> BullQueueWatch.Group {
        BullQueueWatch.Group("g", kinds: kinds, redeliverAfter: .seconds(10))
    }

    /// Every key with its serialized value.
    private func dump(_ fixture: Fixture) async throws -> [String: RESPValue] {
        var values: [String: RESPValue] = [:]
        for key in try await fixture.strings("KEYS", "*") {
            values[key] = try await fixture.call("DUMP", key)
            values["ttl of " + key] = .integer(try await fixture.call("PTTL", key).integer ?? 0 > 0 ? 1 : 0)
        }
        return values
    }

    private func event(_ fixture: Fixture, _ kind: String, _ id: String = "1") async throws {
        try await fixture.call("XADD", "bull:q:events", "*", "event", kind, "jobId", id)
    }

    @Test func `a queue that is not there has nothing and stays away`() async throws {
        try await Fixture.with { fixture in
            var watch = try watch(WatchTests.group())
            let look = try await watch.look(fixture.client)
            #expect(!look.hasWork && look.due == nil && look.activeCount == 0)
            #expect(look.groups == [.init(hasUnread: false, hasMore: false, redelivery: nil, seen: "0-0")])
            #expect(try await fixture.strings("KEYS", "*") == [])
        }
    }

    @Test func `a look tells of everything and changes nothing`() async throws {
        try await Fixture.with { fixture in
            let producer = try fixture.producer()
            for _ in 0..<3 { _ = try await producer.add("n", data: "{}", options: .init()) }
            _ = try await producer.add("n", data: "{}", options: .init(priority: 4))
            let before = Timestamp.now.milliseconds
            _ = try await producer.add("n", data: "{}", options: .init(delay: .seconds(50)))
            _ = try await fixture.client.evaluate(
                BullScripts.fetchJobs, keys: ["bull:q:"], arguments: ["1000", "1", "t", "60000", "", "", "", ""])
            try await fixture.call("SADD", "bull:q:stalled", "1")
            try await fixture.call("HSET", "bull:q:2", "stc", "1")
            try await fixture.call("XGROUP", "CREATE", "bull:q:events", "g", "0")
            try await event(fixture, "completed")
            let dumped = try await dump(fixture)
            var watch = try watch(WatchTests.group())
            for _ in 0..<3 {
                let look = try await watch.look(fixture.client)
                #expect(look.hasWork && look.waitingCount == 3 && look.activeCount == 1 && look.markedCount == 1)
                #expect(look.isStalledNext && !look.isPaused && !look.isMaxed && look.limited == .zero)
                let due = try #require(look.due).milliseconds
                #expect((before + 50_000...before + 60_000).contains(due))
                #expect(look.groups.map(\.hasUnread) == [true])
            }
            #expect(try await dump(fixture) == dumped)
        }
    }

    @Test func `pause, the global concurrency and a rate limit hold work back`() async throws {
        try await Fixture.with { fixture in
            let control = try fixture.control()
            for _ in 0..<2 { _ = try await fixture.producer().add("n", data: "{}", options: .init()) }
            var watch = try watch()
            try await control.pause()
            var look = try await watch.look(fixture.client)
            #expect(look.isPaused && !look.hasWork && look.waitingCount == 2)
            try await control.resume()
            try await control.setGlobalConcurrency(1)
            _ = try await fixture.client.evaluate(
                BullScripts.fetchJobs, keys: ["bull:q:"], arguments: ["1000", "1", "t", "60000", "", "", "", ""])
            look = try await watch.look(fixture.client)
            #expect(look.isMaxed && !look.hasWork)
            try await control.setGlobalConcurrency(nil)
            try await control.setGlobalRateLimit(BullRateLimit(count: 1, window: .seconds(40)))
            #expect(try await watch.look(fixture.client).hasWork)
            try await fixture.call("SET", "bull:q:limiter", "1", "PX", "40000")
            look = try await watch.look(fixture.client)
            #expect(look.limited > .seconds(30) && look.limited <= .seconds(40) && !look.hasWork)
        }
    }

    @Test func `keys of other types are no reason to fail`() async throws {
        try await Fixture.with { fixture in
            for name in ["wait", "active", "prioritized", "delayed", "meta", "stalled", "events", "limiter"] {
                try await fixture.call("SET", "bull:q:\(name)", "x")
            }
            var watch = try watch(WatchTests.group())
            let look = try await watch.look(fixture.client)
            #expect(!look.hasWork && look.activeCount == 0)
        }
    }

    @Test func `only wanted events are unread, also far behind`() async throws {
        try await Fixture.with { fixture in
            var watch = try watch(WatchTests.group([.failed]))
            try await fixture.call("XGROUP", "CREATE", "bull:q:events", "g", "0", "MKSTREAM")
            for number in 0..<2500 { try await event(fixture, "completed", "\(number)") }
            var hasMore: [Bool] = []
            for _ in 0..<4 {
                let group = try await watch.look(fixture.client).groups[0]
                hasMore.append(group.hasMore)
                #expect(!group.hasUnread)
            }
            #expect(hasMore == [true, true, false, false])
            try await event(fixture, "failed")
            for _ in 0..<2 { #expect(try await watch.look(fixture.client).groups[0].hasUnread) }
            // Given to a reader, it is unread no more.
            try await fixture.call(
                "XREADGROUP", "GROUP", "g", "c", "COUNT", "9999", "STREAMS", "bull:q:events", ">")
            let group = try await watch.look(fixture.client).groups[0]
            #expect(!group.hasUnread)
            let redelivery = try #require(group.redelivery)
            #expect(redelivery > .seconds(5) && redelivery <= .seconds(10))
        }
    }

    @Test func `a group that is missing, behind a gap, or soon behind one is to be read for`() async throws {
        try await Fixture.with { fixture in
            var missing = try watch(WatchTests.group())
            try await event(fixture, "waiting")
            #expect(try await missing.look(fixture.client).groups[0].hasUnread == false)
            try await event(fixture, "completed")
            #expect(try await missing.look(fixture.client).groups[0].hasUnread)

            try await fixture.call("XGROUP", "CREATE", "bull:q:events", "g", "0")
            for _ in 0..<20 { try await event(fixture, "waiting") }
            try await fixture.call("XTRIM", "bull:q:events", "MAXLEN", "5")
            var behind = try watch(WatchTests.group())
            #expect(try await behind.look(fixture.client).groups[0].hasUnread)

            try await fixture.call("XREADGROUP", "GROUP", "g", "c", "STREAMS", "bull:q:events", ">")
            try await fixture.call("HSET", "bull:q:meta", "opts.maxLenEvents", "100")
            for _ in 0..<49 { try await event(fixture, "waiting") }
            #expect(try await behind.look(fixture.client).groups[0].hasUnread == false)
            for _ in 0..<5 { try await event(fixture, "waiting") }
            #expect(try await behind.look(fixture.client).groups[0].hasUnread)
        }
    }

    @Test(arguments: ["plain", "prioritized", "delayed", "resumed", "promoted"])
    func `whatever brings work wakes a watch, and its marker stays`(way: String) async throws {
        try await Fixture.with { fixture in
            let (producer, control) = (try fixture.producer(), try fixture.control())
            if way == "resumed" { try await control.pause() }
            if way != "plain" { _ = try await producer.add("n", data: "{}", options: .init(delay: .seconds(60))) }
            var watch = try watch()
            _ = try await watch.look(fixture.client)
            let connection = fixture.client.blockingConnection()
            #expect(try await watch.waitForEvents(on: connection, atMost: .milliseconds(20)) == false)
            let looked = watch
            async let woken = looked.waitForEvents(on: connection, atMost: .seconds(20))
            switch way {
            case "prioritized": _ = try await producer.add("n", data: "{}", options: .init(priority: 1))
            case "delayed": _ = try await producer.add("n", data: "{}", options: .init(delay: .seconds(5)))
            case "resumed": try await control.resume()
            case "promoted": _ = try await control.promote(["1"])
            default: _ = try await producer.add("n", data: "{}", options: .init())
            }
            #expect(try await woken)
            if way != "resumed" { #expect(try await fixture.count("marker") >= 1) }
            await connection.close()
        }
    }
}
