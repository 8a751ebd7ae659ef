import FunctionKit
import RedisClient
import Testing

/// AUTH, SELECT, names and TLS, against a real server.
@Suite(.timeLimit(.minutes(2))) struct RedisAccessTests {
    @Test func authenticates() async throws {
        try await TestRedis.with(options: ["--requirepass", "s@cret"]) { redis in
            let path = "\(redis.folder)/s"
            try await withClient("unix://:s%40cret@\(path)") { client in
                try await client.check()
                _ = try await client.send(["ACL", "SETUSER", "app", "on", ">pw", "~app:*", "&*", "+@all"])
            }
            try await withClient("unix://app:pw@\(path)") { client in
                let name = try await client.send(["ACL", "WHOAMI"]).string
                #expect(name == "app")
                #expect(await redisError { try await client.send(["GET", "other"]) }?.serverCode == "NOPERM")
            }
            try await withClient("unix:\(path)") { client in
                #expect(await redisError { try await client.send(["GET", "k"]) }?.serverCode == "NOAUTH")
            }
            try await withClient("unix://:wrong@\(path)") { client in
                let start = ContinuousClock.now
                let error = await redisError { try await client.send(["GET", "k"]) }
                #expect(error?.code == .connection)
                #expect((error?.cause as? RedisError)?.serverCode == "WRONGPASS")
                #expect(error.map { "\($0)".contains("wrong@") } == false)
                // At once, not at the deadline of 20 s.
                #expect(ContinuousClock.now - start < .seconds(10))
                #expect(await redisError { try await client.subscribe("c") }?.code == .connection)
            }
        }
    }

    @Test func selectsADatabaseAlsoAfterReconnecting() async throws {
        try await TestRedis.with { redis in
            try await withClient(redis.socketURL, threads: 1) { zero in
                try await withClient(redis.socketURL + "?db=3", threads: 1) { three in
                    _ = try await three.send(["SET", "k", "three"])
                    #expect(try await zero.send(["GET", "k"]) == .null)
                    _ = try await zero.send(["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"])
                    let isBack = await eventually { (try? await three.send(["GET", "k"]))?.string == "three" }
                    #expect(isBack)
                }
                try await withClient(redis.socketURL + "?db=99") { client in
                    let error = await redisError { try await client.send(["GET", "k"]) }
                    #expect(error?.code == .connection)
                    #expect((error?.cause as? RedisError)?.code == .server)
                }
            }
        }
    }

    @Test func namesItsConnections() async throws {
        try await TestRedis.with { redis in
            try await withClient(redis.socketURL) {
                $0.clientName = "ferry"
            } _: { client in
                let name = try await client.send(["CLIENT", "GETNAME"]).string
                #expect(name == "ferry")
                let blocking = client.blockingConnection(name: "worker")
                #expect(
                    try await blocking.send(RedisCommand(["CLIENT", "GETNAME"]), deadline: .seconds(20)).string
                        == "worker")
                await blocking.close()
            }
        }
    }

    @Test(arguments: ["localhost", "127.0.0.1"])
    func speaksTLSWithAServerItTrusts(_ host: String) async throws {
        let port = try await freePort()
        try await TestRedis.with(port: port, tls: true) { redis in
            let url = "rediss://\(host):\(port)"
            let roots = redis.folder + "/cert.pem"
            try await withClient(url) {
                $0.tls?.trustRootsFile = roots
            } _: { client in
                let small = try await client.send(["ECHO", "safe"]).string
                #expect(small == "safe")
                let large = String(repeating: "x", count: 1 << 20)
                #expect(try await client.send(["ECHO", large]).string == large)
            }
            try await withClient(url) {
                $0.tls?.verifiesCertificate = false
            } _: { client in
                let reply = try await client.send(["ECHO", "unverified"]).string
                #expect(reply == "unverified")
            }
        }
    }

    @Test func refusesAServerItDoesNotTrust() async throws {
        let port = try await freePort()
        try await TestRedis.with(port: port, tls: true) { redis in
            for file in [nil, redis.folder + "/none.pem"] {
                try await withClient("rediss://localhost:\(port)") {
                    $0.tls?.trustRootsFile = file
                } _: { client in
                    let error = await redisError { try await client.send(RedisCommand(["PING"]), timeout: .seconds(1)) }
                    #expect(error?.code == .connection)
                    #expect(error?.cause != nil)
                }
            }
            // A plain connection to a TLS port and the reverse fail too.
            try await withClient("redis://localhost:\(port)") { client in
                #expect(
                    await redisError { try await client.send(RedisCommand(["PING"]), timeout: .seconds(1)) }?.code
                        == .connection)
            }
        }
    }
}
