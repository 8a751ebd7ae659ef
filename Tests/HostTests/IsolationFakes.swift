import FunctionKit
import Glibc
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import Synchronization
import Testing

@testable import Host

/// Runs functions' processes as tasks of this one, with real links.
final class FakeLauncher: ProcessLauncher {
    private struct Child: Sendable {
        let group: ServiceGroup
        let task: Task<Void, Never>
        let killed: OneShot<CInt>
    }

    private struct State {
        var launches = 0
        /// How many launches fail from now on.
        var failures = 0
        var children: [Int32: Child] = [:]
        var signals: [CInt] = []
    }

    private let function: LoadedFunction
    private let logger: Logger
    private let state = Mutex(State())

    init(_ function: LoadedFunction, logger: Logger) {
        self.function = function
        self.logger = logger
    }

    var launches: Int { state.withLock { $0.launches } }
    var living: Int { state.withLock { $0.children.count } }
    var signals: [CInt] { state.withLock { $0.signals } }

    func fail(next count: Int) { state.withLock { $0.failures = count } }

    /// Ends a process at once, as a crash does.
    func crashAll() {
        for pid in state.withLock({ Array($0.children.keys) }) { end(pid, SIGSEGV) }
    }

    func launch(
        _ order: ProcessOrder, started: @escaping @Sendable (Int32) -> Void,
        ended: @escaping @Sendable (ProcessEnding) -> Void
    ) {
        let (pid, fails) = state.withLock { state in
            state.launches += 1
            state.failures -= 1
            return (Int32(state.launches), state.failures >= 0)
        }
        do {
            guard !fails else { throw LoaderError(.system, "it is to fail") }
            let loops = LoopExecutors(MultiThreadedEventLoopGroup.singleton)
            let server = try LinkServer(
                receipts: dup(order.receipts.descriptor), descriptors: order.links, loops: loops,
                drainTimeout: .seconds(5), logger: logger)
            let pool = HandlerPool(HandlerPool.Options(grace: .milliseconds(200))) { server.report($0) }
            let services = InvocationServices(logger: logger, bindings: Bindings(), pool: pool, loops: loops)
            let runner = FunctionRunner(server.reportingWork(function), services: services)
            let group = ServiceGroup(
                services: [LinkService(server, runner)],
                logger: Logger(label: "child") { _ in SwiftLogNoOpLogHandler() })
            let killed = OneShot<CInt>()
            let task = Task {
                try? await group.run()
                pool.shutDown()
                state.withLock { $0.children[pid] = nil }
                let signal = killed.isSet ? await killed.value() : 0
                ended(signal == 0 ? .exited(0) : .signalled(signal))
            }
            state.withLock { $0.children[pid] = Child(group: group, task: task, killed: killed) }
            started(pid)
        } catch {
            for descriptor in order.links { close(descriptor) }
            ended(.notStarted("\(error)"))
        }
    }

    func signal(_ pid: Int32, _ signal: CInt) {
        state.withLock { $0.signals.append(signal) }
        end(pid, signal)
    }

    private func end(_ pid: Int32, _ signal: CInt) {
        guard let child = state.withLock({ $0.children[pid] }) else { return }
        if signal == SIGTERM {
            Task { await child.group.triggerGracefulShutdown() }
        } else {
            child.killed.set(signal)
            child.task.cancel()
        }
    }
}

/// What an observer is told.
final class NotingObserver: FunctionProcessObserver {
    private let ends = Mutex<[(token: String, wasCrash: Bool)]>([])

    var crashes: [Bool] { ends.withLock { $0.map(\.wasCrash) } }
    var tokens: [String] { ends.withLock { $0.map(\.token) } }

    func processEnded(function: String, workerToken: String, wasCrash: Bool) async {
        ends.withLock { $0.append((workerToken, wasCrash)) }
    }
}

/// A server whose one function runs in such processes.
struct IsolatedTestServer: Sendable {
    let server: HTTPTestServer
    let launcher: FakeLauncher
    let isolated: IsolatedFunctions
    let observer: NotingObserver

    /// Sends a request and looks at the status of its answer.
    func expect(_ status: Int, at path: String, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let answer = try await server.get(path)
        #expect(answer.status == status, sourceLocation: sourceLocation)
    }

    static func with(
        _ function: LoadedFunction, maxProcesses: Int = 2, idleTime: Duration = .seconds(60),
        _ body: (IsolatedTestServer) async throws -> Void
    ) async throws {
        let log = LogRecorder()
        let launcher = FakeLauncher(function, logger: log.logger)
        var settings = Configuration.Isolation()
        settings.maxProcesses = maxProcesses
        settings.idleTime = idleTime
        let observer = NotingObserver()
        let isolated = IsolatedFunctions(
            [BuiltFunctions.Function(name: function.name, manifest: function.manifest, module: "-")],
            settings: settings, grace: .seconds(5), loops: LoopExecutors(MultiThreadedEventLoopGroup.singleton),
            anyLauncher: launcher, observer: observer, logger: log.logger)
        let group = ServiceGroup(
            services: [isolated], logger: Logger(label: "group") { _ in SwiftLogNoOpLogHandler() })
        let running = Task { try await group.run() }
        try await HTTPTestServer.with(isolated.functions) { server in
            try await body(
                IsolatedTestServer(server: server, launcher: launcher, isolated: isolated, observer: observer))
        }
        await group.triggerGracefulShutdown()
        try await running.value
    }
}
