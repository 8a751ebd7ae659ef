import Emulator
import FunctionKit
import Host
import NIOPosix
import ObjectStorage
import RedisClient

extension Core {
    /// Connects the stores that the configuration names; what is opened is closed by the cleanup.
    func openStores(_ cleanup: inout Cleanup) async throws -> Stores {
        let queueGroup = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        cleanup.add { try? await queueGroup.shutdownGracefully() }
        var redisConfiguration = try naming("redis.url") { try RedisConfiguration(url: redisURL) }
        redisConfiguration.commandTimeout = configuration.redis.commandTimeout
        let redis = RedisClient(redisConfiguration, group: group, logger: logger)
        cleanup.add { await redis.close() }
        var queueConfiguration = redisConfiguration
        // The queues' loop has nothing else to do, and a worker's next job waits for the answer.
        queueConfiguration.busyPoll = .microseconds(100)
        let queueRedis = RedisClient(queueConfiguration, group: queueGroup, logger: logger)
        cleanup.add { await queueRedis.close() }
        let history = try await OpenHistory(configuration.history, dataFolder: options.dataFolder)
        cleanup.add { await history.close() }
        let objects = try await makeObjectStore()
        cleanup.add { try? await objects.shutdown() }
        return Stores(
            redis: redis, queueRedis: queueRedis, queueGroup: queueGroup, history: history.store,
            objects: objects)
    }

    /// Says which key of the configuration an error is about.
    func naming<Value>(_ key: String, _ make: () throws -> Value) throws -> Value {
        do { return try make() } catch { throw CommandFailure("\(key): \(error)") }
    }

    /// As ``naming(_:_:)``, for what takes time.
    func naming<Value>(_ key: String, awaiting make: () async throws -> Value) async throws -> Value {
        do { return try await make() } catch { throw CommandFailure("\(key): \(error)") }
    }

    private func makeObjectStore() async throws -> S3ObjectStore {
        let storage = configuration.storage
        let endpoint: S3Endpoint
        let credentials: S3Credentials
        if let localS3 {
            endpoint = try S3Endpoint(try await localS3.waitUntilServing())
            credentials = localS3.credentials
        } else {
            endpoint = try naming("storage.endpoint") { try S3Endpoint(storage.endpoint ?? "") }
            credentials = try S3Credentials.resolve(
                accessKeyID: storage.accessKeyID, secretAccessKey: storage.secretAccessKey.map { S3Secret($0.value) },
                sessionToken: storage.sessionToken.map { S3Secret($0.value) })
        }
        let addressing: S3Addressing =
            switch storage.addressing {
            case .path: .path
            case .virtualHost: .virtualHost
            }
        return S3ObjectStore(
            try S3Configuration(
                bucket: storage.bucket, region: storage.region, endpoint: endpoint,
                publicEndpoint: try storage.publicEndpoint.map { url in
                    try naming("storage.publicEndpoint") { try S3Endpoint(url) }
                }, addressing: addressing,
                credentials: credentials, timeout: storage.timeout,
                retry: S3RetryPolicy(
                    attemptCount: storage.attempts, baseDelay: storage.retryDelay, maximumDelay: storage.retryMaxDelay)),
            eventLoopGroup: group, logger: logger)
    }
}
