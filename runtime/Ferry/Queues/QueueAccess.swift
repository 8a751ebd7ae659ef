import ArgumentParser
import BullQueue
import Emulator
import Host
import Logging
import NIOPosix
import RedisClient

/// The queues of the configured Redis, for one command.
struct QueueAccess {
    let configuration: Configuration
    let dataFolder: String
    let prefix: String
    let client: RedisClient
    let logger: Logger

    /// Connects, does a command's work, and closes the connections again.
    ///
    /// - Throws: What the work throws; ``CommandFailure`` when there is no Redis to talk to. Both are printed, and become
    ///   exit status 1.
    static func run(_ options: QueueOptions, _ work: (QueueAccess) async throws -> Void) async throws {
        try await CommandFailure.reported {
            let configuration = try Configuration.load(
                file: options.configurationFile, environment: EnvironmentVariable.values())
            LogOutput.bootstrap(configuration.log)
            var logger = Logger(label: "ferry")
            logger.logLevel = max(logger.logLevel, .warning)
            var redis = try RedisConfiguration(url: try await url(configuration, options.dataFolder))
            redis.commandTimeout = configuration.redis.commandTimeout
            let client = RedisClient(redis, group: .singleton, logger: logger)
            let access = QueueAccess(
                configuration: configuration, dataFolder: options.dataFolder,
                prefix: options.prefix ?? configuration.queue.prefix, client: client, logger: logger)
            let result: Result<Void, any Error>
            do {
                result = .success(try await work(access))
            } catch {
                result = .failure(error)
            }
            await client.close()
            try result.get()
        }
    }

    private static func url(_ configuration: Configuration, _ dataFolder: String) async throws -> String {
        if let url = configuration.redis.url { return url.value }
        if let url = try await PrivateRedis.runningURL(dataFolder: dataFolder) { return url }
        throw CommandFailure(
            """
            no Redis is configured, and the private redis-server of \(dataFolder) does not run. Start a host with \
            'ferry serve', name its data folder with --data, or set redis.url or REDIS_URL.
            """)
    }

    /// A queue that is there.
    ///
    /// - Throws: ``CommandFailure`` when nobody has ever used a queue of that name.
    func queue(_ name: String) async throws -> BullQueueControl {
        let control = try BullQueueControl(queue: name, prefix: prefix, client: client)
        guard try await control.exists() else {
            throw CommandFailure("there is no queue \"\(name)\" with the prefix \"\(prefix)\"")
        }
        return control
    }

    /// The names of the queues.
    func queueNames() async throws -> [String] {
        try await BullQueueControl.queues(prefix: prefix, client: client)
    }
}
