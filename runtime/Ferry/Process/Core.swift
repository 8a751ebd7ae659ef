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
        try await Cleanup.around { try await serve(&$0) }
    }

    private func serve(_ cleanup: inout Cleanup) async throws {
        async let loading = FunctionRegistry.load(
            folder: options.functionsFolder, only: options.only,
            dataFolder: options.modulesFolder ?? options.dataFolder,
            options: options.loading, logger: logger)
        let stores = try await openStores(&cleanup)
        let registry = try await loading
        let plan = ReloadPlan(good: [:], failed: [], registry: registry, isStrict: options.isStrict)
        report(plan)
        let isPrivate = options.isPrivate

        let queues = Queues(client: stores.redis, prefix: configuration.queue.prefix, manifests: plan.manifests)
        let tickets = try makeTickets()
        let webhooks = try makeWebhooks(&cleanup)
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
        let makeSetup = setups(stores, queues, tickets, webhooks, pool: pool, loops: loops)
        let deployment = Deployment(makeSetup(configuration))
        try await deployment.apply(plan.items)
        cleanup.add { await waitForHandlers(deployment.allRunners) }
        let (guards, guardServices) = try await makeGuards(stores, tickets, &cleanup)
        let http = try makeHTTPOptions()
        let health = stores.health

        let (listening, announce) = AsyncStream.makeStream(
            of: [ListenAddress].self, bufferingPolicy: .bufferingNewest(1))
        let server = try HTTPServer(
            options: http, guards: guards, functions: deployment.runners, health: health,
            openAPI: OpenAPISettings(configuration), pool: pool, loops: loops, observe: options.observe, logger: logger
        ) { addresses in
            for address in addresses where !isPrivate {
                LogOutput.announce("listening on \(address.url(isSecure: http.tls != nil))")
            }
            announce.yield(addresses)
            announce.finish()
        }
        var services: [ServiceGroupConfiguration.ServiceConfiguration] = [.init(service: deployment)]
        if !isPrivate {
            let bindings = stores.bindings(
                queues: queues, tickets: tickets, webhooks: webhooks, configuration)
            services.append(.init(service: ReconcilerService(bindings, logger: logger)))
        }
        let admin = try makeAdmin({ deployment.runners }, pool: pool, loops: loops)
        if let admin { services.append(.init(service: admin.server)) }
        services += guardServices.map { .init(service: $0) }
        if let tls = http.tls {
            services.append(.init(service: CertificateReloader(certificates: tls, logger: logger)))
        }
        services.append(.init(service: server))
        if let companion {
            let (localS3, configuration, dataFolder) = (localS3, configuration, options.dataFolder)
            let live = LiveHost(
                deployment: deployment, server: server, queues: queues, plan: plan, makeSetup: makeSetup)
            services.append(
                .init(
                    service: CompanionService {
                        guard let addresses = await listening.first(where: { _ in true }) else { return }
                        try await companion(
                            HostProcess.Running(
                                addresses: addresses, localS3: localS3, configuration: configuration,
                                dataFolder: dataFolder, admin: admin?.address, live: live))
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

    /// Gives what makes functions callable, for the configuration that holds.
    private func setups(
        _ stores: Stores, _ queues: Queues, _ tickets: TicketBox, _ webhooks: (any WebhookClient)?,
        pool: HandlerPool, loops: LoopExecutors
    ) -> LiveHost.MakeSetup {
        let (logger, options, lockLoop) = (logger, options, stores.queueGroup.next())
        return { configuration in
            let services = InvocationServices(
                logger: logger,
                bindings: stores.bindings(queues: queues, tickets: tickets, webhooks: webhooks, configuration),
                pool: pool, loops: loops,
                observe: options.observe)
            let triggers = TriggerFactory(
                settings: configuration.queue, client: stores.queueRedis, lockLoop: lockLoop,
                grace: configuration.http.drainTimeout, logger: logger)
            return Deployment.Setup(services: services, decorate: options.decorate) { runner in
                if let problem = configuration.limits.problem(of: runner.function.name, runner.function.manifest) {
                    throw CommandFailure(problem)
                }
                return options.isPrivate ? nil : try triggers.make(runner)
            }
        }
    }

    private func report(_ plan: ReloadPlan) {
        guard options.isReported, !options.isPrivate else { return }
        for problem in plan.problems { LogOutput.problem(problem) }
        for function in plan.items.map(\.function) {
            LogOutput.announce("  \(function.name): \(function.manifest.trigger.summary)")
        }
        if plan.items.isEmpty {
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
        case .unix, .inherited: description
        }
    }
}
