import BullQueue
import Downloads
import Emulator
import FunctionKit
import Glibc
import Host
import JobHistory
import Logging
import NIOCore
import NIOPosix
import ObjectStorage
import RedisClient
import ServiceLifecycle

/// Loads the functions, connects them with the stores, and serves their triggers.
struct Core: Service {
    let options: HostProcess.Options
    let configuration: Configuration
    let logger: Logger
    let group: MultiThreadedEventLoopGroup
    let redisURL: String
    let localS3: LocalS3?
    let companion: HostProcess.Companion?

    func run() async throws {
        var cleanup = Cleanup()
        let result: Result<Void, any Error>
        do {
            result = .success(try await serve(&cleanup))
        } catch {
            result = .failure(error)
        }
        // Owned by this call; every step has a bound, and must be made although the task may be cancelled by now.
        await Task { [cleanup] in await cleanup.run() }.value
        try result.get()
    }

    private func serve(_ cleanup: inout Cleanup) async throws {
        // The workers' talk with their queues, the renewal of locks above all, has a loop of its own on which no handler
        // runs, so that none can keep it busy.
        let queueGroup = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        cleanup.add { try? await queueGroup.shutdownGracefully() }
        async let loading = FunctionRegistry.load(
            folder: options.functionsFolder, only: options.only, dataFolder: options.dataFolder, logger: logger)
        var redisConfiguration = try naming("redis.url") { try RedisConfiguration(url: redisURL) }
        redisConfiguration.commandTimeout = configuration.redis.commandTimeout
        let redis = RedisClient(redisConfiguration, group: group, logger: logger)
        cleanup.add { await redis.close() }
        var queueConfiguration = redisConfiguration
        // The queues' loop has nothing else to do, and a worker's next job waits for the answer.
        queueConfiguration.busyPoll = .microseconds(100)
        let queueRedis = RedisClient(queueConfiguration, group: queueGroup, logger: logger)
        cleanup.add { await queueRedis.close() }
        let historyPath = configuration.history.path ?? options.dataFolder + "/history.sqlite"
        let history = try naming("history.path \(historyPath)") { try SQLiteHistory(path: historyPath) }
        cleanup.add { await history.close() }
        let objects = try await makeObjectStore()
        cleanup.add { try? await objects.shutdown() }
        let registry = try await loading
        report(registry)

        var settings = Settings()
        settings[DownloadsConfiguration.self] = configuration.downloads
        let queues = Queues(client: redis, prefix: configuration.queue.prefix, manifests: registry.manifests)
        let bindings = Bindings(keyValue: redis, objects: objects, history: history, queues: queues, settings: settings)
        let pool = HandlerPool { [logger] lost in
            logger.error(
                "a thread is lost: its handler is still running past its timeout",
                metadata: [
                    "function": "\(lost.function)", "request": "\(lost.requestID)",
                    "running_for": "\(lost.runningFor)", "lost_threads": "\(lost.lostCount)",
                ])
        }
        cleanup.add { pool.shutDown() }
        let loops = LoopExecutors(group)
        let invocations = InvocationServices(logger: logger, bindings: bindings, pool: pool, loops: loops)
        let runners = registry.functions.map { FunctionRunner($0, services: invocations) }
        cleanup.add { await waitForHandlers(runners) }
        let health = HealthMonitor([
            .init("storage") { try await objects.check() },
            .init("redis") { try await redis.check() },
            .init("history") { try await history.check() },
        ])

        let (listening, announce) = AsyncStream.makeStream(
            of: [ListenAddress].self, bufferingPolicy: .bufferingNewest(1))
        let server = try HTTPServer(
            options: configuration.http, functions: runners, health: health, pool: pool, loops: loops, logger: logger
        ) { addresses in
            for address in addresses { LogOutput.announce("listening on \(address.url)") }
            announce.yield(addresses)
            announce.finish()
        }
        var services: [ServiceGroupConfiguration.ServiceConfiguration] = []
        for runner in runners {
            if let trigger = try QueueTrigger(
                runner, settings: configuration.queue, client: queueRedis, lockLoop: queueGroup.next(),
                grace: configuration.http.drainTimeout, logger: logger)
            {
                services.append(.init(service: trigger))
            }
            if let trigger = try ScheduleTrigger(
                runner, settings: configuration.queue, client: queueRedis, lockLoop: queueGroup.next(),
                grace: configuration.http.drainTimeout, logger: logger)
            {
                services.append(.init(service: trigger))
            }
            if let trigger = try EventTrigger(
                runner, settings: configuration.queue, client: queueRedis, logger: logger)
            {
                services.append(.init(service: trigger))
            }
        }
        if let admin = try makeAdmin(runners, pool: pool, loops: loops) { services.append(.init(service: admin)) }
        services.append(.init(service: server))
        if let companion {
            let (localS3, configuration, dataFolder) = (localS3, configuration, options.dataFolder)
            services.append(
                .init(
                    service: CompanionService {
                        guard let addresses = await listening.first(where: { _ in true }) else { return }
                        try await companion(
                            HostProcess.Running(
                                addresses: addresses, localS3: localS3, configuration: configuration,
                                dataFolder: dataFolder))
                    }, successTerminationBehavior: .gracefullyShutdownGroup,
                    failureTerminationBehavior: .gracefullyShutdownGroup))
        }
        var quiet = logger
        quiet.logLevel = max(quiet.logLevel, .warning)
        try await ServiceGroup(configuration: .init(services: services, logger: quiet)).run()
    }

    /// Handlers that were cancelled at the end of their grace still abort uploads and put their jobs back: the stores
    /// stay open for them, within a bound for those that heed no cancellation.
    private func waitForHandlers(_ runners: [FunctionRunner]) async {
        let deadline = ContinuousClock.now + .seconds(5)
        for runner in runners where await !runner.waitUntilIdle(atMost: max(.zero, deadline - .now)) {
            logger.warning("a handler is still running at the end", metadata: ["function": "\(runner.function.name)"])
        }
    }

    /// Says which key of the configuration an error is about.
    private func naming<Value>(_ key: String, _ make: () throws -> Value) throws -> Value {
        do { return try make() } catch { throw CommandFailure("\(key): \(error)") }
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

    private func report(_ registry: FunctionRegistry) {
        for problem in registry.problems { LogOutput.problem(problem) }
        for function in registry.functions {
            LogOutput.announce("  \(function.name): \(function.manifest.trigger.summary)")
        }
        if registry.functions.isEmpty {
            LogOutput.write("no function of \(options.functionsFolder) is served\n", to: STDERR_FILENO)
        }
    }
}

/// What must be closed, the last one opened first, also when the start stops halfway.
private struct Cleanup: Sendable {
    private var steps: [@Sendable () async -> Void] = []

    mutating func add(_ step: @escaping @Sendable () async -> Void) { steps.append(step) }

    func run() async {
        for step in steps.reversed() { await step() }
    }
}

extension Core: CustomStringConvertible {
    /// The service's name in the group's log. Without it the group would print every property by reflection: that takes
    /// milliseconds of the start, and the URL of Redis may hold a password.
    var description: String { "core" }
}

/// A companion as a service.
private struct CompanionService: Service {
    let body: @Sendable () async throws -> Void

    func run() async throws {
        try await cancelWhenGracefulShutdown { try await body() }
    }
}

extension ListenAddress {
    /// The form in which a person opens it.
    var url: String {
        switch self {
        case .tcp: "http://\(self)"
        case .unix, .inherited: description
        }
    }
}
