import Emulator
import FunctionKit
import Glibc
import Host
import Logging
import NIOCore
import NIOPosix
import ObjectStorage
import ServiceLifecycle

/// Owns the ports and has each function run in processes of its own (`ferry serve --isolate`).
///
/// It opens the stores for `/health`, the budgets and the reconciler; the functions' processes open their own. At shutdown
/// HTTP drains first, then the processes end, and then the stores go.
struct Supervisor: Service {
    /// The stores, the admin listener and the options are those of a host in one process.
    let core: Core

    /// What a process may take beyond its own draining.
    private static let stopMargin = Duration.seconds(5)

    func run() async throws {
        try await Cleanup.around { try await serve(&$0) }
    }

    private func serve(_ cleanup: inout Cleanup) async throws {
        let (options, logger) = (core.options, core.logger)
        async let building = BuiltFunctions.build(
            folder: options.functionsFolder, only: options.only, dataFolder: options.dataFolder)
        let stores = try await core.openStores(&cleanup)
        let built = try await building
        report(built)
        let launcher = SpawnLauncher(arguments: arguments, environment: try await environment())
        cleanup.add { try? await launcher.shutDown() }
        let services = try await guarded(built, stores, launcher, &cleanup)
        var quiet = logger
        quiet.logLevel = max(quiet.logLevel, .warning)
        try await ServiceGroup(configuration: .init(services: services, logger: quiet)).run()
    }

    // Neither this nor the next is inlined: the optimizer of Swift 6.3.1 crashes in splitting an async function with all of
    // these throwing calls.
    @inline(never)
    private func guarded(
        _ built: BuiltFunctions, _ stores: Stores, _ launcher: SpawnLauncher, _ cleanup: inout Cleanup
    ) async throws -> [ServiceGroupConfiguration.ServiceConfiguration] {
        let tickets = try core.makeTickets()
        let guards = try await core.makeGuards(stores, tickets, &cleanup)
        return try makeServices(built, stores, launcher, tickets, guards, &cleanup)
    }

    /// What runs beside the stores, in the order in which it starts.
    @inline(never)
    private func makeServices(
        _ built: BuiltFunctions, _ stores: Stores, _ launcher: SpawnLauncher, _ tickets: TicketBox,
        _ guards: (all: RequestGuards, services: [any Service]), _ cleanup: inout Cleanup
    ) throws -> [ServiceGroupConfiguration.ServiceConfiguration] {
        let (options, configuration, logger) = (core.options, core.configuration, core.logger)
        let pool = HandlerPool(logger: logger)
        cleanup.add { pool.shutDown() }
        let loops = LoopExecutors(core.group)
        let manifests = Dictionary(built.functions.map { ($0.name, $0.manifest) }) { first, _ in first }
        if let problem = built.functions.lazy.compactMap({
            configuration.limits.problem(of: $0.name, $0.manifest)
        }).first {
            throw CommandFailure(problem)
        }
        let http = try core.makeHTTPOptions()
        let queues = try QueueSupervisor(
            manifests, settings: configuration.queue, client: stores.queueRedis, loop: stores.queueGroup.next(),
            logger: logger)
        let isolated = IsolatedFunctions(
            built, settings: configuration.isolation, grace: configuration.http.drainTimeout + Supervisor.stopMargin,
            loops: loops, launcher: launcher, observer: queues, logger: logger)
        let invocations = InvocationServices(logger: logger, bindings: Bindings(), pool: pool, loops: loops)
        let runners = isolated.functions.map { FunctionRunner(options.decorate($0), services: invocations) }

        let server = try HTTPServer(
            options: http, guards: guards.all, functions: runners, health: stores.health,
            openAPI: OpenAPISettings(configuration, isIsolated: true), pool: pool, loops: loops, logger: logger
        ) { addresses in
            for address in addresses { LogOutput.announce("listening on \(address.url(isSecure: http.tls != nil))") }
        }
        // Ends after the processes: what the last ones leave is given back.
        var services: [ServiceGroupConfiguration.ServiceConfiguration] = [
            .init(service: queues.service(for: isolated)), .init(service: isolated),
        ]
        if let admin = try core.makeAdmin({ runners }, pool: pool, loops: loops, processes: isolated) {
            services.append(.init(service: admin.server))
        }
        let bindings = stores.bindings(
            queues: Queues(client: stores.redis, prefix: configuration.queue.prefix, manifests: manifests),
            tickets: tickets, webhooks: try core.makeWebhooks(&cleanup), configuration)
        services.append(.init(service: ReconcilerService(bindings, logger: logger)))
        services += guards.services.map { .init(service: $0) }
        if let tls = http.tls {
            services.append(.init(service: CertificateReloader(certificates: tls, logger: logger)))
        }
        services.append(.init(service: server))
        return services
    }

    private func report(_ built: BuiltFunctions) {
        for problem in built.problems { LogOutput.problem(problem) }
        for function in built.functions {
            LogOutput.announce("  \(function.name): \(function.manifest.trigger.summary)")
        }
        if built.functions.isEmpty {
            LogOutput.write("no function of \(core.options.functionsFolder) is served\n", to: STDERR_FILENO)
        }
    }

    /// What every function's process is started with.
    private var arguments: [String] {
        let options = core.options
        var arguments = [CommandLine.arguments.first ?? "ferry", "serve-function"]
        arguments += ["--functions", options.functionsFolder, "--data", options.dataFolder]
        if let file = options.configurationFile { arguments += ["--config", file] }
        if options.records { arguments.append("--record") }
        if options.isLogKept(core.configuration) { arguments.append("--log") }
        return arguments
    }

    /// Where the processes find the stores that this one runs.
    private func environment() async throws -> [String: String] {
        var environment: [String: String] = [:]
        // Swift's backtracer holds a crashed process for seconds, in which its callers wait and it is not replaced.
        if getenv("SWIFT_BACKTRACE") == nil { environment["SWIFT_BACKTRACE"] = "enable=no" }
        // The names that win over the others. An empty variable is none.
        if core.configuration.redis.url == nil { environment["FERRY_REDIS_URL"] = core.redisURL }
        if let localS3 = core.localS3 {
            environment["FERRY_STORAGE_ENDPOINT"] = try await localS3.waitUntilServing()
            environment["FERRY_STORAGE_ACCESS_KEY_ID"] = localS3.credentials.accessKeyID
            environment["FERRY_STORAGE_SECRET_ACCESS_KEY"] = localS3.credentials.secretAccessKey.revealed
            environment["FERRY_STORAGE_SECRET_ACCESS_KEY_FILE"] = ""
        }
        return environment
    }
}

extension Supervisor: CustomStringConvertible {
    /// The service's name in the group's log.
    var description: String { "supervisor" }
}
