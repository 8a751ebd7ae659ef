internal import FunctionKit
internal import Glibc
public import Logging
internal import NIOCore
internal import NIOPosix
public import ServiceLifecycle
internal import Synchronization

/// The HTTP server: listens, serves the functions' routes and the host's own, and drains at shutdown.
///
/// At graceful shutdown readiness turns 503, listening ends, connections without a request close, and the others close
/// after their next answer; event streams and sockets are ended at once, in a way that has clients come back, elsewhere if
/// there is an elsewhere. What has not ended after ``HTTPServerOptions/drainTimeout`` is cancelled and logged. When the
/// task is cancelled, that happens at once.
public final class HTTPServer: Service {
    private struct Served {
        var router: Router<Endpoint>
        var states: [NIOLoopBound<LoopState>] = []
    }

    private let core: ServerCore
    private let hostRoutes: [HostRoute]
    private let documents: DocumentRoutes?
    private let served: Mutex<Served>
    private let loops: LoopExecutors
    private let onListening: @Sendable ([ListenAddress]) -> Void

    /// Makes a server; it does nothing before ``run()``.
    ///
    /// - Parameters:
    ///   - options: Addresses, limits and times.
    ///   - guards: What stands before the functions; the host's own routes are open.
    ///   - functions: The functions; those without a route are passed over.
    ///   - hostRoutes: Further routes of the host's.
    ///   - health: What `/health` asks; `nil` for a server without `/health`.
    ///   - openAPI: What `/openapi.json` and `/docs` are made by; `nil` for a server without them.
    ///   - pool: The pool whose lost threads turn readiness 503.
    ///   - loops: The loops that serve connections.
    ///   - observe: Told of every request that a function, or nothing, answers.
    ///   - logger: For the access log and for what goes wrong.
    ///   - onListening: Told once where the server listens, with the ports that the system chose.
    /// - Throws: ``RouteConflict`` when two routes are equal.
    public init(
        options: HTTPServerOptions = HTTPServerOptions(), guards: RequestGuards = RequestGuards(),
        functions: [FunctionRunner], hostRoutes: [HostRoute] = [], health: HealthMonitor?,
        openAPI: OpenAPISettings? = nil, pool: HandlerPool, loops: LoopExecutors,
        observe: InvocationReport.Observer? = nil, logger: Logger,
        onListening: @escaping @Sendable ([ListenAddress]) -> Void = { _ in }
    ) throws(RouteConflict) {
        let core = ServerCore(options: options, guards: guards, logger: logger, observe: observe)
        let healthRoutes = health.map { health in
            HealthRoutes.make(health, logger: logger) {
                if core.isDraining { return ("draining", "The process is shutting down.") }
                if pool.isExhausted { return ("threads_lost", "Too many handlers run past their timeouts.") }
                return nil
            }
        }
        self.core = core
        self.loops = loops
        self.onListening = onListening
        var settings = openAPI
        settings?.hasHealth = health != nil
        documents = settings.map { DocumentRoutes($0, functions) }
        self.hostRoutes = (healthRoutes ?? []) + (documents?.routes ?? []) + hostRoutes
        served = Mutex(Served(router: try Router(functions: functions, hostRoutes: self.hostRoutes)))
    }

    /// Serves other functions from now on, without a request being lost: one whose head has been read goes on to the
    /// function that it led to then, also while it waits for a place; the next one of the same connection finds the new
    /// functions. On each loop that happens in one step.
    ///
    /// - Parameter functions: All functions; those without a route are passed over.
    /// - Throws: ``RouteConflict`` when two routes are equal; then nothing has changed.
    public func replace(functions: [FunctionRunner]) async throws(RouteConflict) {
        let router = try Router(functions: functions, hostRoutes: hostRoutes)
        served.withLock { $0.router = router }
        documents?.replace(functions)
        await install()
    }

    /// Has other limits and times hold from now on. Addresses and backlog are those of the start; the limits of heads
    /// hold for new connections.
    public func replace(options: HTTPServerOptions) async {
        var options = options
        // The listening sockets have it.
        options.tls = core.options.tls
        core.options = options
        await install()
    }

    /// Gives each loop what holds now.
    private func install() async {
        let states = served.withLock { $0.states }
        let steps = states.map { state in
            state.eventLoop.submit { [self] in
                // Asked for here, so that of two changes at once the newer one stays.
                state.value.router = served.withLock { $0.router }
                state.value.options = core.options
            }
        }
        for step in steps {
            do {
                try await step.get()
            } catch {
                core.logger.debug("a loop has ended", metadata: ["error": "\(error)"])
            }
        }
    }

    /// Listens and serves until shutdown.
    ///
    /// - Throws: ``ListenError`` when it cannot listen.
    public func run() async throws {
        var states: [ObjectIdentifier: NIOLoopBound<LoopState>] = [:]
        for executor in loops.all {
            let (router, options) = (served.withLock { $0.router }, core.options)
            states[ObjectIdentifier(executor.eventLoop)] = try await executor.eventLoop.submit {
                NIOLoopBound(LoopState(executor, router: router, options: options), eventLoop: executor.eventLoop)
            }.get()
        }
        let all = Array(states.values)
        served.withLock { $0.states = all }
        // What was replaced meanwhile.
        await install()
        let listeners = try await listen(states)
        onListening(listeners.compactMap { ListenAddress($0.channel.localAddress) })
        let grace: Duration
        do {
            try await gracefulShutdown()
            grace = core.options.drainTimeout
        } catch {
            // Cancelled: there is no time for a graceful end.
            grace = .zero
        }
        await stop(listeners, all, grace: grace)
    }

    private func listen(_ states: [ObjectIdentifier: NIOLoopBound<LoopState>]) async throws -> [Listener] {
        var listeners: [Listener] = []
        var missing: ListenError?
        do {
            for address in core.options.addresses {
                do {
                    listeners.append(Listener(channel: try await bind(address, states), address: address))
                } catch let error as IOError where [EADDRNOTAVAIL, EAFNOSUPPORT].contains(error.errnoCode) {
                    // The machine lacks this address, for example all of IPv6.
                    missing = ListenError(address: address, reason: String(cString: strerror(error.errnoCode)))
                } catch let error as IOError {
                    throw ListenError(address: address, reason: String(cString: strerror(error.errnoCode)))
                } catch {
                    throw ListenError(address: address, reason: "\(error)")
                }
            }
            if let missing {
                if listeners.isEmpty { throw missing }
                core.logger.warning("an address is left out", metadata: ["reason": "\(missing)"])
            }
        } catch {
            await close(listeners)
            throw error
        }
        return listeners
    }

    private func bind(
        _ address: ListenAddress, _ states: [ObjectIdentifier: NIOLoopBound<LoopState>]
    ) async throws -> any Channel {
        let core = core
        let tls = if case .tcp = address { core.options.tls } else { TLSCertificates?.none }
        var bootstrap = ServerBootstrap(group: loops.all[0].eventLoop, childGroup: loops.group)
            .serverChannelOption(.backlog, value: CInt(core.options.backlog))
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            // Small buffers: a connection keeps its own between requests.
            .childChannelOption(
                .recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 1024, initial: 1024, maximum: 16_384)
            )
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let state = states[ObjectIdentifier(channel.eventLoop)] else { return }
                    if let tls { try channel.pipeline.syncOperations.addHandler(tls.makeHandler()) }
                    try channel.pipeline.syncOperations.addHandler(HTTPConnection(core, state.value))
                }
            }
        switch address {
        case .tcp(let host, let port):
            if host == "::" {
                // It stands for IPv6 alone, so that 0.0.0.0 beside it is no conflict.
                bootstrap = bootstrap.serverChannelOption(
                    ChannelOptions.socket(IPPROTO_IPV6, IPV6_V6ONLY), value: 1)
            }
            return try await bootstrap.bind(host: host, port: port).get()
        case .unix(let path):
            let listener = try await bootstrap.bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true).get()
            if core.options.hasPrivateSockets, chmod(path, 0o600) != 0 {
                let error = IOError(errnoCode: errno, reason: "chmod")
                try? await listener.close()
                throw error
            }
            return listener
        case .inherited(let descriptor):
            let listener = try await bootstrap.withBoundSocket(descriptor).get()
            // NIO has the kernel hold as many connections as it thinks right.
            guard Glibc.listen(descriptor, CInt(core.options.backlog)) == 0 else {
                let error = IOError(errnoCode: errno, reason: "listen")
                try? await listener.close()
                throw error
            }
            return listener
        }
    }

    private func stop(_ listeners: [Listener], _ states: [NIOLoopBound<LoopState>], grace: Duration) async {
        core.beginDraining()
        await close(listeners)
        forEachConnection(states) { $0.drain() }
        let timer = loops.all[0].eventLoop
        if await core.waitUntilEmpty(within: grace, timer: timer) { return }
        forEachConnection(states) { $0.cut() }
        if await !core.waitUntilEmpty(within: .seconds(1), timer: timer) {
            core.logger.warning("connections are left open")
        }
    }

    private func forEachConnection(
        _ states: [NIOLoopBound<LoopState>], _ body: @escaping @Sendable (HTTPConnection) -> Void
    ) {
        for state in states {
            state.eventLoop.execute {
                for entry in state.value.timers.entries {
                    if let connection = entry as? HTTPConnection { body(connection) }
                }
            }
        }
    }

    private func close(_ listeners: [Listener]) async {
        for listener in listeners {
            do {
                try await listener.channel.close()
            } catch {
                core.logger.debug("a listener was closed already", metadata: ["error": "\(error)"])
            }
            if case .unix(let path) = listener.address { unlink(path) }
        }
    }

    private struct Listener {
        let channel: any Channel
        /// As it was asked for.
        let address: ListenAddress
    }
}
