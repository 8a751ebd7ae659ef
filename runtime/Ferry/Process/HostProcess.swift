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
import UnixSignals

/// A Ferry process: the stores that the configuration names or the embedded ones, the functions, their triggers.
///
/// Two groups of services, one in the other. The outer one holds what others need in order to start (the private
/// redis-server, the local S3 endpoint); the inner one the queues' workers and, last, the HTTP server. At shutdown they
/// end in the reverse order: HTTP drains, jobs end or go back to their queues, and only then the stores go.
struct HostProcess {
    /// What the command line says.
    struct Options {
        var functionsFolder = "functions"
        var dataFolder = ".ferry"
        var configurationFile: String?
        var only: [String]?
        var listen: [ListenAddress]?
        /// Whether each function runs in processes of its own.
        var isIsolated = false
        /// What stands between a function and its callers; applied to each one as it is loaded.
        var decorate: @Sendable (LoadedFunction) -> LoadedFunction = { $0 }
    }

    /// What runs beside the host once it listens; when it returns, the host shuts down.
    typealias Companion = @Sendable (Running) async throws -> Void

    /// A host that listens.
    struct Running: Sendable {
        let addresses: [ListenAddress]
        let localS3: LocalS3?
        let configuration: Configuration
        let dataFolder: String
    }

    let options: Options
    var configuration: Configuration
    let logger: Logger

    init(_ options: Options) throws {
        self.options = options
        let file = options.configurationFile
        var configuration = try Configuration.load(file: file, environment: EnvironmentVariable.values())
        if let listen = options.listen {
            configuration.http.addresses = listen
        } else if let text = getenv("PORT").map({ String(cString: $0) }), !text.isEmpty {
            guard let port = UInt16(text) else {
                throw CommandFailure("environment variable PORT must be a port number, not \"\(text)\"")
            }
            configuration.http.addresses = [
                .tcp(host: "127.0.0.1", port: Int(port)), .tcp(host: "::1", port: Int(port)),
            ]
        }
        self.configuration = configuration
        LogOutput.bootstrap(configuration.log)
        logger = Logger(label: "ferry")
    }

    /// Runs until SIGTERM or SIGINT, or until the companion has returned.
    func run(companion: Companion? = nil) async throws {
        raiseOpenFileLimit()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: configuration.loopCount ?? System.coreCount)
        try makeFolder(options.dataFolder)
        let redis = try await startRedis()
        let localS3 = try makeLocalS3(group)
        let core = Core(
            options: options, configuration: configuration, logger: logger, group: group,
            redisURL: redis?.url ?? configuration.redis.url?.value ?? "", localS3: localS3, companion: companion)
        var services: [ServiceGroupConfiguration.ServiceConfiguration] = []
        if let redis { services.append(.init(service: redis, failureTerminationBehavior: .gracefullyShutdownGroup)) }
        if let localS3 {
            services.append(.init(service: localS3, failureTerminationBehavior: .gracefullyShutdownGroup))
        }
        let service: any Service = options.isIsolated ? Supervisor(core: core) : core
        services.append(
            .init(
                service: service, successTerminationBehavior: .gracefullyShutdownGroup,
                failureTerminationBehavior: .gracefullyShutdownGroup))
        var setup = ServiceGroupConfiguration(
            services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: quietLogger)
        // A worker's grace and the draining of HTTP have bounds of their own; this one is for what hangs all the same.
        setup.maximumGracefulShutdownDuration = configuration.http.drainTimeout * 2 + .seconds(30)
        try await ServiceGroup(configuration: setup).run()
    }

    /// The services' own logger: their coming and going is of no interest below debug level.
    private var quietLogger: Logger {
        var logger = logger
        if logger.logLevel > .debug { logger.logLevel = .warning }
        return logger
    }

    private func startRedis() async throws -> PrivateRedis? {
        guard configuration.redis.url == nil else { return nil }
        return try await PrivateRedis.start(
            dataFolder: options.dataFolder, binary: configuration.redis.server, logger: logger)
    }

    private func makeLocalS3(_ group: any EventLoopGroup) throws -> LocalS3? {
        guard configuration.storage.endpoint == nil else { return nil }
        return try LocalS3(
            dataFolder: options.dataFolder, port: configuration.storage.port, bucket: configuration.storage.bucket,
            region: configuration.storage.region, logger: logger, group: group)
    }

    /// Each connection is an open file, and shells hand out a low soft limit; up to the hard one is a process's own say.
    private func raiseOpenFileLimit() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }

    private func makeFolder(_ path: String) throws {
        guard mkdir(path, 0o700) == 0 || errno == EEXIST else {
            throw CommandFailure("the data folder \(path) cannot be made: \(String(cString: strerror(errno)))")
        }
    }
}
