import FunctionKit
import RedisClient
import Testing

@Suite(.timeLimit(.minutes(2))) struct RedisBlockingConnectionTests {
    private let pop = RedisCommand(["BZPOPMIN", "z", "60"])

    private func blockedCount(_ client: RedisClient, is count: Int) async -> Bool {
        await eventually {
            let text = try? await client.send(["INFO", "clients"]).string
            return text?.contains("blocked_clients:\(count)\r\n") == true
        }
    }

    @Test func blocksWithoutHoldingUpOthers() async throws {
        try await TestRedis.with { redis in
            try await withClient(redis.socketURL, threads: 1) { client in
                let blocking = client.blockingConnection()
                async let popped = blocking.send(pop, deadline: .seconds(30))
                #expect(await blockedCount(client, is: 1))
                _ = try await client.send(["ZADD", "z", "7", "job"])
                #expect(try await popped == .array([.text("z"), .text("job"), .text("7")]))
                await blocking.close()
            }
        }
    }

    @Test func interruptEndsAWaitingCallAndTheServersWait() async throws {
        try await TestRedis.with { redis in
            try await withClient(redis.socketURL) { client in
                let blocking = client.blockingConnection()
                blocking.interrupt()
                for _ in 0..<3 {
                    async let error = redisError { try await blocking.send(pop, deadline: .seconds(30)) }
                    #expect(await blockedCount(client, is: 1))
                    blocking.interrupt()
                    #expect(await error?.code == .cancelled)
                    #expect(await blockedCount(client, is: 0))
                }
                _ = try await client.send(["ZADD", "z", "1", "kept"])
                let popped = try await blocking.send(pop, deadline: .seconds(30))
                #expect(popped.array?[1].string == "kept")
                await blocking.close()
            }
        }
    }

    @Test func deadlineAndCancellationEndTheServersWaitToo() async throws {
        try await TestRedis.with { redis in
            try await withClient(redis.socketURL) { client in
                let blocking = client.blockingConnection()
                let error = await redisError { try await blocking.send(pop, deadline: .milliseconds(200)) }
                #expect(error?.code == .timeout)
                #expect(await blockedCount(client, is: 0))
                let task = Task { try await blocking.send(pop, deadline: .seconds(30)) }
                #expect(await blockedCount(client, is: 1))
                task.cancel()
                #expect(await redisError { try await task.value }?.code == .cancelled)
                #expect(await blockedCount(client, is: 0))
                let reply = try await blocking.send(RedisCommand(["PING"]), deadline: .seconds(20))
                #expect(reply == .status("PONG"))
                await blocking.close()
            }
        }
    }

    @Test func connectsAgainAfterTheServerWasRestarted() async throws {
        try await TestRedis.with { redis in
            try await withClient(redis.socketURL) { client in
                let blocking = client.blockingConnection()
                async let error = redisError { try await blocking.send(pop, deadline: .seconds(30)) }
                #expect(await blockedCount(client, is: 1))
                await redis.kill()
                #expect(await error?.code == .connection)
                async let next = blocking.send(RedisCommand(["PING"]), deadline: .seconds(20))
                try await redis.start()
                #expect(try await next == .status("PONG"))
                await blocking.close()
            }
        }
    }

    @Test(arguments: [true, false])
    func closingEndsAWaitingCall(_ isClientClosed: Bool) async throws {
        try await TestRedis.with { redis in
            try await withClient(redis.socketURL) { client in
                let blocking = client.blockingConnection()
                async let error = redisError { try await blocking.send(pop, deadline: .seconds(30)) }
                #expect(await blockedCount(client, is: 1))
                if isClientClosed { await client.close() } else { await blocking.close() }
                #expect(await error?.code == .closed)
                #expect(await redisError { try await blocking.send(pop, deadline: .seconds(30)) }?.code == .closed)
            }
        }
    }
}
