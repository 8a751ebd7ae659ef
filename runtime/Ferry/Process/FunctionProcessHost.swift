import FunctionKit
import Glibc
import Host
import Logging
import NIOCore
import NIOPosix
import RedisClient
import ServiceLifecycle
import UnixSignals

/// A process of one function, started by a supervisor: the stores that this one's environment names, the function, what
/// calls it: the links, and its queue, event or schedule.
struct FunctionProcessHost {
    let function: String
    let module: String
    let linkCount: Int
    let options: HostProcess.Options

    private typealias ControlProcess = @convention(c) (CInt, UInt, UInt, UInt, UInt) -> CInt
    private static let setParentDeathSignal: CInt = 1

    /// Asks the kernel to end this process with its supervisor, also one that is killed.
    ///
    /// - Returns: Whether the supervisor is still there.
    static func dieWithSupervisor(_ supervisor: Int32) -> Bool {
        // Swift's Glibc module does not show it: it takes what arguments it likes.
        guard let symbol = dlsym(nil, "prctl") else { return getppid() == supervisor }
        let control = unsafeBitCast(symbol, to: ControlProcess.self)
        _ = control(setParentDeathSignal, UInt(SIGKILL), 0, 0, 0)
        // It may have gone before.
        return getppid() == supervisor
    }

    /// Runs until SIGTERM, or until the supervisor has gone.
    func run() async throws {
        let first = SpawnLauncher.firstDescriptor
        let links = (0..<CInt(linkCount)).map { first + 1 + $0 }
        // What a function starts must not hold them.
        for descriptor in [first] + links { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        let configuration = try Configuration.load(
            file: options.configurationFile, environment: EnvironmentVariable.values())
        let logFile = options.makeLogFile(configuration)
        defer { logFile?.close() }
        LogOutput.bootstrap(configuration.log, file: logFile, metadata: ["pid": "\(getpid())"])
        limitOpenFiles(configuration.isolation.openFiles)
        let logger = Logger(label: "ferry")
        let group = MultiThreadedEventLoopGroup(numberOfThreads: configuration.loopCount ?? System.coreCount)
        let core = Core(
            options: options, configuration: configuration, logger: logger, group: group,
            redisURL: configuration.redis.url?.value ?? "", localS3: nil, companion: nil)
        try await Cleanup.around { try await serve(core, [first] + links, &$0) }
    }

    private func serve(_ core: Core, _ descriptors: [CInt], _ cleanup: inout Cleanup) async throws {
        let (configuration, logger) = (core.configuration, core.logger)
        async let opening = FunctionRegistry.open(
            function, module: module, folder: options.functionsFolder, dataFolder: options.dataFolder)
        let stores = try await core.openStores(&cleanup)
        let registry = try await opening
        let queues = Queues(client: stores.redis, prefix: configuration.queue.prefix, manifests: registry.manifests)
        let loops = LoopExecutors(core.group)
        let links = try LinkServer(
            receipts: descriptors[0], descriptors: Array(descriptors[1...]), loops: loops,
            drainTimeout: configuration.http.drainTimeout, logger: logger)
        let pool = HandlerPool(HandlerPool.Options(grace: .seconds(2))) { links.report($0) }
        cleanup.add { pool.shutDown() }
        let invocations = InvocationServices(
            logger: logger,
            bindings: stores.bindings(
                queues: queues, tickets: try core.makeTickets(), webhooks: try core.makeWebhooks(&cleanup),
                configuration),
            pool: pool, loops: loops)
        let recorder = options.makeRecorder(configuration, logger)
        if let recorder { cleanup.add { await recorder.close() } }
        let runners = registry.functions.map { function in
            FunctionRunner(links.reportingWork(recorder?.decorate(function) ?? function), services: invocations)
        }
        cleanup.add {
            // Handlers that were cancelled still put back what they had taken.
            for runner in runners where await !runner.waitUntilIdle(atMost: .seconds(5)) {
                logger.warning("a handler is still running at the end", metadata: ["function": "\(function)"])
            }
        }
        let triggers = TriggerFactory(
            settings: configuration.queue, client: stores.queueRedis, lockLoop: stores.queueGroup.next(),
            grace: configuration.http.drainTimeout, logger: logger,
            workerID: getenv("FERRY_WORKER_ID").map { String(cString: $0) })
        var services: [ServiceGroupConfiguration.ServiceConfiguration] = []
        for runner in runners {
            if let trigger = try triggers.make(runner) { services.append(.init(service: trigger)) }
            services.append(
                .init(
                    service: LinkService(links, runner), successTerminationBehavior: .gracefullyShutdownGroup,
                    failureTerminationBehavior: .gracefullyShutdownGroup))
        }
        var quiet = logger
        quiet.logLevel = max(quiet.logLevel, .warning)
        var setup = ServiceGroupConfiguration(
            services: services, gracefulShutdownSignals: [.sigterm], logger: quiet)
        setup.maximumGracefulShutdownDuration = configuration.http.drainTimeout * 2 + .seconds(30)
        try await ServiceGroup(configuration: setup).run()
    }

    /// A function that leaks files is to run out of its own, not of the machine's.
    private func limitOpenFiles(_ count: Int) {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_max = min(limit.rlim_max, rlim_t(count))
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}
