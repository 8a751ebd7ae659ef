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
        /// How functions are loaded.
        var loading = FunctionRegistry.Options()
        /// Whether a function that cannot be loaded answers with its error.
        var isStrict = false
        /// Whether the start prints what is served and what is not.
        var isReported = true
        /// Told of every invocation.
        var observe: InvocationReport.Observer?
        /// Where compiled modules lie; in the data folder when `nil`.
        var modulesFolder: String?
        /// Whether the host is for a command's own calls by hand: on the embedded stores whatever the configuration
        /// names, reached by its admin socket only, without triggers and announcements.
        var isPrivate = false
        /// Whether the log is kept in the data folder; the configuration's say when `nil`.
        var keepsLog: Bool?
        /// Whether invocations are recorded in the data folder.
        var records = false
    }

    /// What runs beside the host once it listens; when it returns, the host shuts down.
    typealias Companion = @Sendable (Running) async throws -> Void

    /// A host that listens.
    struct Running: Sendable {
        let addresses: [ListenAddress]
        let localS3: LocalS3?
        let configuration: Configuration
        let dataFolder: String
        /// Where the admin listener is, unless the system has chosen its port.
        let admin: ListenAddress?
        /// What can be changed.
        let live: LiveHost
    }

    var options: Options
    var configuration: Configuration
    let logger: Logger
    /// What keeps the log in the data folder.
    let logFile: LogFile?

    init(_ options: Options) throws {
        var options = options
        let inherited = options.isPrivate ? nil : try InheritedSockets.take()
        let hasListen = options.listen != nil
        options.listen = options.listen ?? inherited
        self.options = options
        configuration = try HostProcess.loadConfiguration(options)
        logFile = options.makeLogFile(configuration)
        LogOutput.bootstrap(configuration.log, file: logFile)
        logger = Logger(label: "ferry")
        for warning in configuration.warnings where !options.isPrivate {
            logger.warning("\(warning.file) \(warning.reason.dropFirst("warning: ".count))")
        }
        if hasListen, let inherited {
            // They stay open, in the hands of the service manager too, so clients would wait for ever.
            logger.warning("--listen is given: nobody listens on the sockets of LISTEN_FDS")
            for case .inherited(let descriptor) in inherited { close(descriptor) }
        }
    }

    /// Reads the configuration; the command line goes before it.
    ///
    /// - Throws: `Configuration.Invalid`.
    static func loadConfiguration(_ options: Options) throws -> Configuration {
        let file = options.configurationFile
        var configuration = try Configuration.load(file: file, environment: EnvironmentVariable.values())
        if let addresses = options.listen { configuration.http.addresses = addresses }
        if options.isPrivate { configuration.makePrivate(in: options.dataFolder) }
        return configuration
    }

    /// Runs until SIGTERM or SIGINT, or until the companion has returned.
    func run(companion: Companion? = nil) async throws {
        defer { logFile?.close() }
        raiseOpenFileLimit()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: configuration.loopCount ?? System.coreCount)
        try makeFolder(options.dataFolder)
        let redis = try await startRedis()
        let localS3 = try makeLocalS3(group)
        var options = options
        // Under isolation the functions' own processes record: there the queues' calls are seen too.
        let recorder = options.isIsolated ? nil : options.makeRecorder(configuration, logger)
        if let recorder {
            let inner = options.decorate
            options.decorate = { recorder.decorate(inner($0)) }
        }
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
        let result: Result<Void, any Error>
        do { result = .success(try await ServiceGroup(configuration: setup).run()) } catch { result = .failure(error) }
        await recorder?.close()
        try result.get()
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

extension Configuration {
    /// Leaves out every store and address that others use.
    fileprivate mutating func makePrivate(in dataFolder: String) {
        redis.url = nil
        storage.endpoint = nil
        storage.publicEndpoint = nil
        storage.port = 0
        history.path = nil
        admin.listen = .automatic
        admin.token = nil
        http.addresses = [.unix(path: "\(dataFolder)/http.sock")]
        http.hasPrivateSockets = true
        http.drainTimeout = min(http.drainTimeout, .seconds(2))
        log.level = max(log.level, .warning)
    }
}

extension HostProcess.Options {
    /// Whether the log is kept in the data folder: on the embedded default, unless the configuration says otherwise.
    func isLogKept(_ configuration: Configuration) -> Bool {
        !isPrivate && (keepsLog ?? configuration.log.file ?? (configuration.redis.url == nil))
    }

    /// What keeps the log in the data folder, if that is wanted; the caller closes it.
    func makeLogFile(_ configuration: Configuration) -> LogFile? {
        guard isLogKept(configuration) else { return nil }
        return LogFile(dataFolder: dataFolder, keptBytes: configuration.log.keptBytes)
    }

    /// What keeps invocations, if that was asked for; the caller closes it.
    func makeRecorder(_ configuration: Configuration, _ logger: Logger) -> InvocationRecorder? {
        guard records else { return nil }
        return InvocationRecorder(
            dataFolder: dataFolder, limits: configuration.record.limits,
            redaction: Redaction(also: configuration.record.redact), logger: logger)
    }
}
