import FunctionKit
import NIOCore
import NIOPosix
import RedisClient
import Testing

/// Against a real server.
@Suite(.timeLimit(.minutes(2))) struct RedisClientTests {
    @Test(arguments: [true, false])
    func sendsAndReceives(_ isTCP: Bool) async throws {
        let port = isTCP ? try await freePort() : nil
        try await TestRedis.with(port: port) { redis in
            try await withClient(port.map { "redis://127.0.0.1:\($0)" } ?? redis.socketURL) { client in
                try await client.check()
                #expect(try await client.send(["SET", "k", "välue"]) == .status("OK"))
                #expect(try await client.send(["GET", "k"]).string == "välue")
                #expect(try await client.send(["GET", "none"]) == .null)
                #expect(try await client.send(["INCR", "n"]) == .integer(1))
                #expect(try await client.send(["HSET", "h", "a", "1", "b", "2"]).integer == 2)
                let hash = try await client.send(["HGETALL", "h"])
                #expect(hash.array?.compactMap(\.string) == ["a", "1", "b", "2"])
                let binary = ByteBuffer(bytes: (0...255).map { UInt8($0) })
                _ = try await client.send(RedisCommand(["SET", "b", .bytes(binary)]))
                #expect(try await client.send(RedisCommand(["GET", "b"])) == .bytes(binary))
            }
        }
    }

    @Test func aServersErrorKeepsItsText() async throws {
        try await TestRedis.with { redis in
            try await withClient(redis.socketURL) { client in
                let error = await redisError {
                    try await client.send(["XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", ">"])
                }
                #expect(error?.code == .server)
                #expect(error?.serverCode == "NOGROUP")
                #expect(error?.message.hasPrefix("NOGROUP No such key 's'") == true)
                let replies = try await client.pipeline([
                    RedisCommand(["SET", "k", "v"]), RedisCommand(["INCR", "k"]), RedisCommand(["GET", "k"]),
                ])
                #expect(replies.count == 3)
                #expect(replies[0] == .status("OK"))
                #expect(replies[1] == .error("ERR value is not an integer or out of range"))
                #expect(replies[2] == .text("v"))
                #expect(try await client.pipeline([]).isEmpty)
            }
        }
    }

    @Test func everyCallerGetsItsOwnReply() async throws {
        try await TestRedis.with { redis in
            try await withClient(redis.socketURL, threads: 3) { client in
                try await withThrowingTaskGroup(of: Void.self) { tasks in
                    for task in 0..<200 {
                        tasks.addTask {
                            for round in 0..<20 {
                                let text = "\(task)-\(round)"
                                #expect(try await client.send(["ECHO", text]).string == text)
                            }
                            let commands = (0..<20).map { RedisCommand(["ECHO", "\(task)/\($0)"]) }
                            let replies = try await client.pipeline(commands)
                            #expect(replies.compactMap(\.string) == (0..<20).map { "\(task)/\($0)" })
                        }
                    }
                    try await tasks.waitForAll()
                }
                let numbers = try await client.pipeline(Array(repeating: RedisCommand(["INCR", "n"]), count: 5000))
                #expect(numbers.compactMap(\.integer) == Array(1...5000))
            }
        }
    }

    @Test func largeValuesPassWhileOthersGoOn() async throws {
        try await TestRedis.with { redis in
            try await withClient(redis.socketURL, threads: 1) { client in
                let value = ByteBuffer(repeating: 0x61, count: 5 << 20)
                try await withThrowingTaskGroup(of: Void.self) { tasks in
                    for number in 0..<4 {
                        tasks.addTask {
                            _ = try await client.send(RedisCommand(["SET", "k\(number)", .bytes(value)]))
                            #expect(try await client.send(["GET", "k\(number)"]) == .bytes(value))
                        }
                        tasks.addTask {
                            let reply = try await client.send(["ECHO", "x"]).string
                            #expect(reply == "x")
                        }
                    }
                    try await tasks.waitForAll()
                }
            }
        }
    }

    @Test func aCallerOnALoopUsesTheLoopsConnection() async throws {
        try await TestRedis.with { redis in
            try await withClientAndGroup(redis.socketURL, threads: 2) { client, group in
                var seen: Set<Int64> = []
                for loop in group.makeIterator() {
                    let ids = try await withTaskExecutorPreference(LoopExecutor(loop)) {
                        var ids: Set<Int64> = []
                        for _ in 0..<10 {
                            #expect(loop.inEventLoop)
                            ids.insert(try await client.send(["CLIENT", "ID"]).integer ?? -1)
                        }
                        return ids
                    }
                    #expect(ids.count == 1)
                    seen.formUnion(ids)
                }
                #expect(seen.count == 2)
            }
        }
    }

    @Test func aForgottenScriptIsSentAgain() async throws {
        let script = StoreScript(name: "add", source: "return redis.call('INCRBY', KEYS[1], ARGV[1])")
        try await TestRedis.with { redis in
            try await withClient(redis.socketURL, threads: 1) { client in
                #expect(try await client.evaluate(script, keys: ["n"], arguments: ["2"]) == .integer(2))
                #expect(try await client.evaluate(script, keys: ["n"], arguments: ["3"]) == .integer(5))
                _ = try await client.send(["SCRIPT", "FLUSH"])
                #expect(try await client.evaluate(script, keys: ["n"], arguments: ["4"]) == .integer(9))
                let statistics = try await client.send(["INFO", "commandstats"]).string ?? ""
                #expect(statistics.contains("cmdstat_evalsha:calls=2"))
                #expect(statistics.contains("cmdstat_eval:calls=2"))
            }
        }
    }

    @Test func forgottenScriptsInsideAPipelineAreSentAgain() async throws {
        let add = StoreScript(name: "add", source: "return redis.call('INCRBY', KEYS[1], ARGV[1])")
        let fail = StoreScript(name: "fail", source: "return redis.error_reply('MINE ' .. ARGV[1])")
        try await TestRedis.with { redis in
            try await withClient(redis.socketURL, threads: 1) { client in
                let commands: [RedisCommand] = [
                    RedisCommand(["ECHO", "a"]), .evaluate(add, keys: ["n"], arguments: [1]),
                    .evaluate(fail, keys: [], arguments: ["x"]), RedisCommand(["ECHO", "b"]),
                    .evaluate(add, keys: ["n"], arguments: [10]),
                ]
                for round in 0..<3 {
                    if round == 2 { _ = try await client.send(["SCRIPT", "FLUSH"]) }
                    let replies = try await client.pipeline(commands)
                    #expect(
                        replies == [
                            .text("a"), .integer(Int64(11 * round + 1)), .error("MINE x"), .text("b"),
                            .integer(Int64(11 * round + 11)),
                        ])
                }
                #expect(try await client.send(["GET", "n"]).string == "33")
            }
        }
    }

    @Test func aConnectionThatIsMadeAnewKnowsNoScript() async throws {
        let script = StoreScript(name: "one", source: "return 1")
        try await TestRedis.with { redis in
            try await withClient(redis.socketURL, threads: 1) { client in
                #expect(try await client.evaluate(script, keys: [], arguments: []) == .integer(1))
                await redis.kill()
                try await redis.start()
                // The loss may be noticed only by the first command.
                _ = await eventually { (try? await client.check()) != nil }
                #expect(try await client.evaluate(script, keys: [], arguments: []) == .integer(1))
                let statistics = try await client.send(["INFO", "commandstats"]).string ?? ""
                #expect(!statistics.contains("cmdstat_evalsha"))
            }
        }
    }

    @Test func waitsForAServerThatComesBack() async throws {
        try await TestRedis.with { redis in
            try await withClient(redis.socketURL) { client in
                for _ in 0..<2 {
                    try await client.check()
                    await redis.kill()
                    let error = await redisError {
                        try await client.send(RedisCommand(["PING"]), timeout: .milliseconds(300))
                    }
                    #expect(error?.code == .connection)
                    #expect(error?.isUnavailable == true)
                    async let waiting = withThrowingTaskGroup(of: RESPValue.self) { tasks in
                        for _ in 0..<50 { tasks.addTask { try await client.send(["INCR", "n"]) } }
                        return try await tasks.reduce(into: Set<Int64>()) { $0.insert($1.integer ?? 0) }
                    }
                    try await redis.start()
                    #expect(try await waiting == Set(1...50))
                }
            }
        }
    }

    @Test func aCommandUnderWayFailsWithItsConnection() async throws {
        try await TestRedis.with { redis in
            try await withClient(redis.socketURL, threads: 1) { client in
                try await client.check()
                async let error = redisError { try await client.send(["DEBUG", "SLEEP", "30"]) }
                // Killing is right only once the server sleeps; it is then deaf to everybody.
                try await withClient(redis.socketURL, threads: 1) { other in
                    let isDeaf = await eventually {
                        (try? await other.send(RedisCommand(["PING"]), timeout: .milliseconds(200))) == nil
                    }
                    #expect(isDeaf)
                    await redis.kill()
                }
                #expect(await error?.code == .connection)
            }
        }
    }

    @Test func aCommandsDeadlineEndsItAndTheStalledConnection() async throws {
        try await TestRedis.with { redis in
            try await withClient(redis.socketURL, threads: 1) {
                $0.commandTimeout = .milliseconds(200)
            } _: { client in
                let before = try await client.send(RedisCommand(["CLIENT", "ID"]), timeout: .seconds(20)).integer
                let start = ContinuousClock.now
                #expect(await redisError { try await client.send(["DEBUG", "SLEEP", "1"]) }?.code == .timeout)
                #expect(ContinuousClock.now - start < .milliseconds(900))
                let after = try await client.send(RedisCommand(["CLIENT", "ID"]), timeout: .seconds(20)).integer
                #expect(before != after)
            }
        }
    }

    @Test func aHastyCallerDoesNotEndTheConnectionOfOthers() async throws {
        try await TestRedis.with { redis in
            try await withClient(redis.socketURL, threads: 1) { client in
                let before = try await client.send(["CLIENT", "ID"]).integer
                let error = await redisError {
                    try await client.send(RedisCommand(["DEBUG", "SLEEP", "0.5"]), timeout: .milliseconds(50))
                }
                #expect(error?.code == .timeout)
                #expect(try await client.send(["CLIENT", "ID"]).integer == before)
            }
        }
    }

    @Test func closingWaitsForWhatIsUnderWay() async throws {
        try await TestRedis.with { redis in
            try await withClient(redis.socketURL, threads: 1) { client in
                try await client.check()
                async let slow = client.send(["DEBUG", "SLEEP", "0.3"])
                async let queued = client.send(["ECHO", "x"])
                // Commands that are not queued yet would be refused.
                try await Task.sleep(for: .milliseconds(100))
                await client.close()
                #expect(try await slow == .status("OK"))
                #expect(try await queued.string == "x")
                #expect(await redisError { try await client.send(["PING"]) }?.code == .closed)
                #expect(await redisError { try await client.subscribe("c") }?.code == .closed)
                let blocking = client.blockingConnection()
                #expect(
                    await redisError { try await blocking.send(RedisCommand(["PING"]), deadline: .seconds(1)) }?.code
                        == .closed)
                await blocking.close()
                await client.close()
            }
        }
    }
}

/// Runs tasks on an event loop, as the host does.
private final class LoopExecutor: TaskExecutor {
    private let loop: any EventLoop

    init(_ loop: any EventLoop) { self.loop = loop }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        loop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
