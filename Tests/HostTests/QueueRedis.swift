import Logging
import NIOPosix
import RedisClient
import TestSupport

/// What tests of queues need beside a server.
enum QueueRedis {
    static var logger: Logger {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        return logger
    }

    static func client(_ redis: RedisServer) throws -> RedisClient {
        RedisClient(
            try RedisConfiguration(url: redis.url),
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
