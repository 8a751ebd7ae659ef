import Foundation
import Logging
import NIOPosix
import RedisClient
import Synchronization

/// A redis-server of a test's own, on a Unix socket in a fresh folder.
final class QueueRedis: Sendable {
    private let folder: String
    private let process = Mutex<Process?>(nil)

    static var logger: Logger {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        return logger
    }

    init() throws {
        folder = FileManager.default.temporaryDirectory.path + "/host-\(RandomNumbers.name())"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try start()
    }

    func start() throws {
        let server = Process()
        server.executableURL = URL(fileURLWithPath: "/usr/bin/redis-server")
        server.arguments = ["--port", "0", "--unixsocket", folder + "/redis.sock", "--save", "", "--dir", folder]
        server.standardOutput = FileHandle.nullDevice
        try server.run()
        process.withLock { $0 = server }
    }

    func kill() {
        process.withLock { process in
            if let process { Foundation.kill(process.processIdentifier, SIGKILL) }
            process?.waitUntilExit()
            process = nil
        }
    }

    func remove() {
        kill()
        try? FileManager.default.removeItem(atPath: folder)
    }

    static func client(_ redis: QueueRedis) throws -> RedisClient {
        RedisClient(
            try RedisConfiguration(url: "unix:" + redis.folder + "/redis.sock"),
            group: MultiThreadedEventLoopGroup.singleton, logger: logger)
    }

    /// Waits until a condition holds; fails when it does not in time.
    static func eventually(_ what: String, _ condition: () async throws -> Bool) async throws {
        let end = ContinuousClock.now + .seconds(30)
        while try await !condition() {
            guard ContinuousClock.now < end else { throw NotInTime(description: "not in time: \(what)") }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    struct NotInTime: Error, CustomStringConvertible {
        let description: String
    }
}
