import Foundation
import NIOCore
import NIOPosix
import Testing

@testable import Emulator

@Suite(.serialized) struct PrivateRedisTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func start() async throws -> PrivateRedis {
        try await PrivateRedis.start(dataFolder: folder.path, logger: quiet)
    }

    private func socket(of redis: PrivateRedis) -> String { String(redis.url.dropFirst("unix:".count)) }

    private func send(_ arguments: String..., to redis: PrivateRedis) -> RedisProbe.Answer {
        RedisProbe.send(arguments, to: socket(of: redis))
    }

    private func processIdentifier(_ redis: PrivateRedis) throws -> pid_t {
        guard case .reply(let info) = send("INFO", "server", to: redis) else { throw Timeout() }
        let line = try #require(info.split(whereSeparator: \.isNewline).first { $0.hasPrefix("process_id:") })
        return try #require(pid_t(line.dropFirst("process_id:".count)))
    }

    @Test func theFirstStartsItOthersUseItTheLastEndsIt() async throws {
        let first = try await start()
        #expect(send("SET", "a", "1", to: first) == .reply("OK"))
        #expect(send("CONFIG", "GET", "appendonly", to: first) != .absent)
        let identifier = try processIdentifier(first)
        #expect(getsid(identifier) == identifier)
        let second = try await start()
        #expect(try processIdentifier(second) == identifier)
        await first.stop()
        await first.stop()
        #expect(send("GET", "a", to: second) == .reply("1"))
        await second.stop()
        #expect(send("PING", to: second) == .absent)
        #expect(!ChildProcess.isRunning(identifier, commandLineContains: [socket(of: second)]))

        let again = try await start()
        #expect(send("GET", "a", to: again) == .reply("1"))
        #expect(try processIdentifier(again) != identifier)
        await again.stop()
    }

    @Test func hostsThatStartAtOnceShareOne() async throws {
        let hosts = try await withThrowingTaskGroup(of: PrivateRedis.self) { group in
            for _ in 0..<4 { group.addTask { try await start() } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(Set(try hosts.map { try processIdentifier($0) }).count == 1)
        await withTaskGroup { group in
            for host in hosts { group.addTask { await host.stop() } }
        }
        #expect(send("PING", to: hosts[0]) == .absent)
    }

    @Test func anOrphanIsAdopted() async throws {
        var killed: PrivateRedis? = try await start()
        let identifier = try processIdentifier(try #require(killed))
        // The kernel closes a killed host's files, and so do we.
        killed = nil
        let adopter = try await start()
        #expect(try processIdentifier(adopter) == identifier)
        await adopter.stop()
        #expect(send("PING", to: adopter) == .absent)
    }

    @Test func aServerThatDiesIsStartedAgain() async throws {
        let redis = try await start()
        let identifier = try processIdentifier(redis)
        #expect(send("SET", "kept", "yes", to: redis) == .reply("OK"))
        let watch = Task { try await redis.run() }
        kill(identifier, SIGKILL)
        try await eventually { send("GET", "kept", to: redis) == .reply("yes") }
        #expect(try processIdentifier(redis) != identifier)
        watch.cancel()
        try await watch.value
        #expect(send("PING", to: redis) == .absent)
    }

    @Test func aSocketFileWithoutAServerIsNoHindrance() async throws {
        let redis = try await start()
        kill(try processIdentifier(redis), SIGKILL)
        try await eventually { send("PING", to: redis) == .absent }
        #expect(FileManager.default.fileExists(atPath: socket(of: redis)))
        let next = try await start()
        #expect(send("PING", to: next) == .reply("PONG"))
        await redis.stop()
        #expect(send("PING", to: next) == .reply("PONG"))
        await next.stop()
    }

    @Test func aServerWhoseSocketWasRemovedEndsBeforeAnotherBegins() async throws {
        let redis = try await start()
        let identifier = try processIdentifier(redis)
        #expect(send("SET", "kept", "yes", to: redis) == .reply("OK"))
        let watch = Task { try await redis.run() }
        #expect(unlink(socket(of: redis)) == 0)
        try await eventually { send("GET", "kept", to: redis) == .reply("yes") }
        #expect(try processIdentifier(redis) != identifier)
        #expect(!ChildProcess.isRunning(identifier, commandLineContains: [socket(of: redis)]))
        watch.cancel()
        try await watch.value
        #expect(send("PING", to: redis) == .absent)
    }

    @Test func aServerThatIsFoundEndingIsReplaced() async throws {
        let place = try RedisPlace(dataFolder: folder.path)
        // Accepts, says nothing, and is gone: what a server looks like that has been told to end.
        let ending = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.parent?.close(promise: nil)
                return channel.close()
            }
            .bind(unixDomainSocketPath: place.socket).get()
        let redis = try await start()
        #expect(send("PING", to: redis) == .reply("PONG"))
        await redis.stop()
        try? await ending.close()
    }

    @Test func aMissingProgramIsNamedWithItsRemedy() async throws {
        let error = await #expect(throws: EmulatorError.self) {
            try await PrivateRedis.start(dataFolder: folder.path, binary: "/nonexistent/redis-server", logger: quiet)
        }
        #expect(error?.code == .missingBinary)
        #expect(error?.message.contains("apt-get install redis-server") == true)
        #expect(error?.message.contains("redis.url") == true)
    }

    @Test func aServerThatDoesNotStartTellsItsLog() async throws {
        let redis = try await start()
        #expect(send("SET", "a", String(repeating: "x", count: 1000), to: redis) == .reply("OK"))
        await redis.stop()
        let appendOnly = folder.path + "/redis/appendonlydir"
        let name = try #require(
            try FileManager.default.contentsOfDirectory(atPath: appendOnly).first { $0.hasSuffix(".incr.aof") })
        try Data("*3\r\n$3\r\nSET\r\nthis is no append-only file\r\n*1\r\n".utf8)
            .write(to: URL(fileURLWithPath: appendOnly + "/" + name))
        let error = await #expect(throws: EmulatorError.self) { try await start() }
        #expect(error?.code == .startFailed)
        #expect(error?.message.contains("Bad file format") == true, "\(String(describing: error))")
        let probe = try RedisPlace(dataFolder: folder.path)
        #expect(RedisProbe.send(["PING"], to: probe.socket) == .absent)
    }

    @Test func anOldServerIsRefused() async throws {
        let program = folder.path + "/old-redis"
        try Data(
            """
            #!/usr/bin/env python3
            import os, socket, sys
            path = sys.argv[sys.argv.index("--unixsocket") + 1]
            server = socket.socket(socket.AF_UNIX)
            server.bind(path)
            server.listen()
            info = b"redis_version:4.0.9\\r\\nprocess_id:%d\\r\\n" % os.getpid()
            while True:
                client, _ = server.accept()
                request = client.recv(4096)
                client.sendall(b"+PONG\\r\\n" if b"PING" in request else b"$%d\\r\\n%s\\r\\n" % (len(info), info))
                client.close()

            """.utf8
        ).write(to: URL(fileURLWithPath: program))
        #expect(chmod(program, 0o700) == 0)
        let error = await #expect(throws: EmulatorError.self) {
            try await PrivateRedis.start(dataFolder: folder.path, binary: program, logger: quiet)
        }
        #expect(error?.code == .unsupportedVersion)
        #expect(error?.message.contains("4.0.9") == true)
        #expect(RedisProbe.send(["PING"], to: folder.path + "/redis/redis.sock") == .absent)
    }

    @Test func aLongOrAwkwardFolderGetsAShortSocket() async throws {
        let deep = folder.path + "/" + String(repeating: "long name ", count: 12)
        let redis = try await PrivateRedis.start(dataFolder: deep, logger: quiet)
        #expect(socket(of: redis).hasPrefix("/tmp/ferry-"))
        #expect(socket(of: redis).utf8.count <= RedisPlace.socketPathLimit)
        #expect(send("PING", to: redis) == .reply("PONG"))
        let recorded = try String(contentsOfFile: deep + "/redis/socket", encoding: .utf8)
        #expect(recorded == socket(of: redis) + "\n")
        let same = try await PrivateRedis.start(dataFolder: deep + "/.", logger: quiet)
        #expect(same.url == redis.url)
        await same.stop()
        await redis.stop()
        try FileManager.default.removeItem(atPath: (socket(of: redis) as NSString).deletingLastPathComponent)
    }
}
