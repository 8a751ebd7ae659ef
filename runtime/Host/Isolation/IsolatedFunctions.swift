internal import FunctionKit
public import Logging
internal import NIOCore
public import ServiceLifecycle

/// Functions in processes of their own: what calls them, what starts and stops the processes.
public final class IsolatedFunctions: Service, FunctionProcesses {
    /// The functions, to be called like any others; their limits are those of all their processes.
    public let functions: [LoadedFunction]
    private let pools: [String: ProcessPool]
    private let grace: Duration

    /// Makes the functions; no process is started before it is needed.
    ///
    /// - Parameters:
    ///   - built: The functions and their modules.
    ///   - settings: Limits and times.
    ///   - grace: How long a process has to end in order.
    ///   - loops: The loops that call.
    ///   - launcher: Starts processes; shut down by the caller after this has ended.
    ///   - observer: Told when a process has ended.
    ///   - logger: Told of the processes' comings and goings.
    public convenience init(
        _ built: BuiltFunctions, settings: Configuration.Isolation, grace: Duration, loops: LoopExecutors,
        launcher: SpawnLauncher, observer: (any FunctionProcessObserver)? = nil, logger: Logger
    ) {
        self.init(
            built.functions, settings: settings, grace: grace, loops: loops, anyLauncher: launcher, observer: observer,
            logger: logger)
    }

    init(
        _ built: [BuiltFunctions.Function], settings: Configuration.Isolation, grace: Duration, loops: LoopExecutors,
        anyLauncher launcher: any ProcessLauncher, observer: (any FunctionProcessObserver)?, logger: Logger
    ) {
        self.grace = grace
        var functions: [LoadedFunction] = []
        var pools: [String: ProcessPool] = [:]
        for function in built {
            var manifest = function.manifest
            let processCount = manifest.maxProcesses(settings)
            let pool = ProcessPool(
                function: function.name, module: function.module,
                limits: ProcessPool.Limits(
                    processCount: processCount, concurrency: manifest.concurrency, idleTime: settings.idleTime,
                    stopGrace: grace),
                loops: loops.all.map(\.eventLoop), launcher: launcher, observer: observer, logger: logger)
            pools[function.name] = pool
            manifest.concurrency *= processCount
            // A relay never blocks.
            manifest.executor = .loop
            functions.append(LoadedFunction(function.name, manifest, Relay(pool: pool)))
        }
        self.functions = functions
        self.pools = pools
    }

    /// Waits for the shutdown and stops the processes: SIGTERM, and SIGKILL after the grace time. To be shut down after
    /// what calls the functions.
    public func run() async throws {
        var grace = grace
        do { try await gracefulShutdown() } catch { grace = .zero }
        // Owned by this call; it must be made although the task may be cancelled by now, and every step has a bound.
        await Task { [grace] in
            await withTaskGroup { group in
                for pool in pools.values { group.addTask { await pool.stop(grace: grace) } }
            }
        }.value
    }

    /// See ``FunctionProcesses/ensure(_:processes:)``.
    public func ensure(_ function: String, processes: Int) async { pools[function]?.ensure(processes) }

    /// See ``FunctionProcesses/running(_:)``.
    public func running(_ function: String) -> Int { pools[function]?.runningCount ?? 0 }

    /// The processes of a function, the oldest first.
    public func processes(of function: String) -> [FunctionProcessStatus] { pools[function]?.statuses ?? [] }
}

extension FunctionManifest {
    /// How many processes the function may have: events and times are handled by one, so that they keep their order.
    fileprivate func maxProcesses(_ settings: Configuration.Isolation) -> Int {
        switch trigger {
        case .http, .sse, .webSocket, .queue(_, .process): settings.maxProcesses
        case .queue, .schedule: 1
        }
    }
}
