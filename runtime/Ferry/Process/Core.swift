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
        async let loading = FunctionRegistry.load(
            folder: options.functionsFolder, only: options.only, dataFolder: options.dataFolder, logger: logger)
        let stores = try await openStores(&cleanup)
        let registry = try await loading
        report(registry)

        let queues = Queues(client: stores.redis, prefix: configuration.queue.prefix, manifests: registry.manifests)
        let tickets = try makeTickets()
        let bindings = stores.bindings(queues: queues, tickets: tickets, configuration)
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
        let runners = registry.functions.map { FunctionRunner(options.decorate($0), services: invocations) }
        cleanup.add { await waitForHandlers(runners) }
        let (guards, guardServices) = try makeGuards(runners, stores, tickets, &cleanup)
        let http = try makeHTTPOptions()
        let health = stores.health

        let (listening, announce) = AsyncStream.makeStream(
            of: [ListenAddress].self, bufferingPolicy: .bufferingNewest(1))
        let server = try HTTPServer(
            options: http, guards: guards, functions: runners, health: health, pool: pool, loops: loops, logger: logger
        ) { addresses in
            for address in addresses { LogOutput.announce("listening on \(address.url(isSecure: http.tls != nil))") }
            announce.yield(addresses)
            announce.finish()
        }
        var services: [ServiceGroupConfiguration.ServiceConfiguration] = []
        let triggers = TriggerFactory(
            settings: configuration.queue, client: stores.queueRedis, lockLoop: stores.queueGroup.next(),
            grace: configuration.http.drainTimeout, logger: logger)
        services += try runners.compactMap { try triggers.make($0) }.map { .init(service: $0) }
        if let admin = try makeAdmin(runners, pool: pool, loops: loops) { services.append(.init(service: admin)) }
        services += guardServices.map { .init(service: $0) }
        if let tls = http.tls {
            services.append(.init(service: CertificateReloader(certificates: tls, logger: logger)))
        }
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
    func url(isSecure: Bool = false) -> String {
        switch self {
        case .tcp: "\(isSecure ? "https" : "http")://\(self)"
        case .unix: description
        }
    }
}
