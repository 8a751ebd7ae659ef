import FunctionKit
import NIOCore
import RedisClient
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct RedisSubscriptionTests {
    private func message(_ text: String) -> ChannelElement { .message(ByteBuffer(string: text)) }

    private func serverCount(_ client: RedisClient, _ channel: String, is count: Int64) async -> Bool {
        await eventually { (try? await client.send(["PUBSUB", "NUMSUB", channel]).array?[1].integer) == count }
    }

    @Test func severalReadersShareOneSubscription() async throws {
        try await TestRedis.with { redis in
            try await withClient(redis.socketURL) { client in
                let first = try await client.subscribe("c")
                let second = try await client.subscribe("c")
                let other = try await client.subscribe("d")
                // One subscriber of the server, and so one receiver.
                #expect(try await client.send(["PUBLISH", "c", "1"]).integer == 1)
                #expect(try await client.send(["PUBLISH", "d", "2"]).integer == 1)
                let list = try await client.send(["CLIENT", "LIST", "TYPE", "pubsub"]).string ?? ""
                #expect(list.split(separator: "\n").count == 1)
                var (one, two, three) =
                    (first.makeAsyncIterator(), second.makeAsyncIterator(), other.makeAsyncIterator())
                #expect(await one.next() == message("1"))
                #expect(await two.next() == message("1"))
                #expect(await three.next() == message("2"))
                first.cancel()
                #expect(await one.next() == nil)
                #expect(try await client.send(["PUBLISH", "c", "3"]).integer == 1)
                #expect(await two.next() == message("3"))
                second.cancel()
                #expect(await serverCount(client, "c", is: 0))
                #expect(await serverCount(client, "d", is: 1))
            }
        }
    }

    @Test func isConfirmedBeforeItIsReturnedHoweverOftenItIsLeftAndEntered() async throws {
        try await TestRedis.with { redis in
            try await withClient(redis.socketURL) { client in
                try await withThrowingTaskGroup(of: Void.self) { tasks in
                    for task in 0..<20 {
                        tasks.addTask {
                            for round in 0..<20 {
                                let subscription = try await client.subscribe("c\(task % 3)")
                                let text = "\(task)-\(round)"
                                #expect(try await client.send(["PUBLISH", "c\(task % 3)", text]).integer == 1)
                                var isSeen = false
                                for await element in subscription where element == message(text) {
                                    isSeen = true
                                    break
                                }
                                #expect(isSeen)
                            }
                        }
                    }
                    try await tasks.waitForAll()
                }
                for channel in ["c0", "c1", "c2"] { #expect(await serverCount(client, channel, is: 0)) }
            }
        }
    }

    @Test func aDroppedSubscriptionIsLeft() async throws {
        try await TestRedis.with { redis in
            try await withClient(redis.socketURL) { client in
                do {
                    let subscription = try await client.subscribe("c")
                    #expect(await serverCount(client, "c", is: 1))
                    _ = subscription.channel
                }
                #expect(await serverCount(client, "c", is: 0))
            }
        }
    }

    @Test func aCancelledReaderEndsAndLeaves() async throws {
        try await TestRedis.with { redis in
            try await withClient(redis.socketURL) { client in
                let subscription = try await client.subscribe("c")
                let task = Task {
                    var count = 0
                    for await _ in subscription { count += 1 }
                    return count
                }
                _ = try await client.send(["PUBLISH", "c", "x"])
                task.cancel()
                #expect(await task.value <= 1)
                #expect(await serverCount(client, "c", is: 0))
            }
        }
    }

    @Test(arguments: [true, false])
    func aLostConnectionIsAGapAndMadeAnew(_ isKilled: Bool) async throws {
        try await TestRedis.with { redis in
            try await withClient(redis.socketURL) { client in
                let first = try await client.subscribe("c")
                let second = try await client.subscribe("d")
                var (one, two) = (first.makeAsyncIterator(), second.makeAsyncIterator())
                _ = try await client.send(["PUBLISH", "c", "before"])
                #expect(await one.next() == message("before"))
                if isKilled {
                    await redis.kill()
                    try await redis.start()
                } else {
                    #expect(try await client.send(["CLIENT", "KILL", "TYPE", "pubsub"]).integer == 1)
                }
                #expect(await one.next() == .gap)
                #expect(await two.next() == .gap)
                #expect(await eventually { (try? await client.send(["PUBLISH", "c", "after"]).integer) == 1 })
                #expect(await one.next() == message("after"))
                _ = try await client.send(["PUBLISH", "d", "after"])
                #expect(await two.next() == message("after"))
            }
        }
    }

    @Test func aSlowReaderGetsTheNewestAndAGap() async throws {
        try await TestRedis.with { redis in
            try await withClient(redis.socketURL) {
                $0.subscriptionBufferCount = 2
            } _: { client in
                let slow = try await client.subscribe("c")
                let fence = try await client.subscribe("fence")
                for number in 1...5 { _ = try await client.send(["PUBLISH", "c", "\(number)"]) }
                _ = try await client.send(["PUBLISH", "fence", "x"])
                var fenceIterator = fence.makeAsyncIterator()
                #expect(await fenceIterator.next() == message("x"))
                var iterator = slow.makeAsyncIterator()
                for expected in [.gap, message("4"), message("5")] { #expect(await iterator.next() == expected) }
            }
        }
    }

    @Test func aLongSilenceIsAGapAlsoWithoutAConnection() async throws {
        try await TestRedis.with { redis in
            try await withClient(redis.socketURL) {
                $0.subscriptionSilence = .milliseconds(120)
            } _: { client in
                let subscription = try await client.subscribe("c")
                var iterator = subscription.makeAsyncIterator()
                for _ in 0..<2 { #expect(await iterator.next() == .gap) }
                await redis.kill()
                for _ in 0..<3 { #expect(await iterator.next() == .gap) }
                try await redis.start()
                #expect(await eventually { (try? await client.send(["PUBLISH", "c", "after"]).integer) == 1 })
                while let element = await iterator.next(), element != message("after") { #expect(element == .gap) }
            }
        }
    }

    @Test func aChannelThatSpeaksHasNoGaps() async throws {
        try await TestRedis.with { redis in
            try await withClient(redis.socketURL) {
                $0.subscriptionSilence = .seconds(4)
            } _: { client in
                let speaking = try await client.subscribe("c")
                let silent = try await client.subscribe("d")
                async let gap = silent.makeAsyncIterator().nextOnce()
                var iterator = speaking.makeAsyncIterator()
                let end = ContinuousClock.now + .seconds(9)
                while ContinuousClock.now < end {
                    _ = try await client.send(["PUBLISH", "c", "x"])
                    #expect(await iterator.next() == message("x"))
                    try await Task.sleep(for: .milliseconds(20))
                }
                #expect(await gap == .gap)
            }
        }
    }

    @Test func closingTheClientEndsSubscriptions() async throws {
        try await TestRedis.with { redis in
            try await withClient(redis.socketURL) { client in
                let subscription = try await client.subscribe("c")
                async let end = subscription.makeAsyncIterator().nextOnce()
                await client.close()
                #expect(await end == nil)
            }
        }
    }

    @Test func aRefusedChannelIsAnErrorAndOthersGoOn() async throws {
        try await TestRedis.with { redis in
            try await withClient(redis.socketURL) { admin in
                _ = try await admin.send(["ACL", "SETUSER", "app", "on", ">pw", "~*", "&mine", "+@all"])
                try await withClient("unix://app:pw@\(redis.folder)/s") { client in
                    let mine = try await client.subscribe("mine")
                    let error = await redisError { try await client.subscribe("yours") }
                    #expect(error?.serverCode == "NOPERM")
                    _ = try await admin.send(["PUBLISH", "mine", "x"])
                    var iterator = mine.makeAsyncIterator()
                    #expect(await iterator.next() == message("x"))
                }
            }
        }
    }

    @Test func tooManySubscriptionsAreRefused() async throws {
        try await TestRedis.with { redis in
            try await withClient(redis.socketURL) {
                $0.maximumSubscriptionCount = 1
            } _: { client in
                let first = try await client.subscribe("c")
                #expect(await redisError { try await client.subscribe("d") }?.code == .overloaded)
                first.cancel()
                _ = try await client.subscribe("d")
            }
        }
    }
}

extension RedisSubscription.AsyncIterator {
    fileprivate func nextOnce() async -> ChannelElement? {
        var copy = self
        return await copy.next()
    }
}
