internal import FunctionKit
public import Logging
internal import NIOCore
internal import NIOPosix
public import ServiceLifecycle
internal import Synchronization

/// A function's process serves its supervisor: takes calls over the links until it is to end, or the supervisor has gone.
public final class LinkServer: Sendable {
    private let descriptors: [CInt]
    private let receipts: LinkReceipts
    private let loops: LoopExecutors
    private let drainTimeout: Duration
    private let logger: Logger
    private let links = Mutex<[ChildLink]>([])
    private let finished = OneShot<Void>()
    private let calls = CallCounter()

    /// Takes the links over.
    ///
    /// - Parameters:
    ///   - receipts: The descriptor of the memory in which calls are counted.
    ///   - descriptors: The links' ends.
    ///   - loops: The loops that serve the links.
    ///   - drainTimeout: The time that calls have at the end; then their tasks are cancelled.
    ///   - logger: For what goes wrong.
    /// - Throws: ``LoaderError`` with code `.system`.
    public init(
        receipts: CInt, descriptors: [CInt], loops: LoopExecutors, drainTimeout: Duration, logger: Logger
    ) throws {
        self.receipts = try LinkReceipts(descriptor: receipts, linkCount: descriptors.count)
        self.descriptors = descriptors
        self.loops = loops
        self.drainTimeout = drainTimeout
        self.logger = logger
    }

    /// Says that a handler keeps a thread past its deadline: this process must be replaced.
    public func report(_ lost: HandlerPool.LostThread) {
        let text = "a thread is lost to request \(lost.requestID) for \(lost.runningFor)"
        writeToSupervisor { buffer in buffer.writeFrame(.lost) { $0.writeText(text) } }
    }

    /// The function with a handler that says when it works on jobs, events or ticks: its process is not idle then.
    public func reportingWork(_ function: LoadedFunction) -> LoadedFunction {
        let work = BusyReport(loop: loops.all[0].eventLoop) { [weak self] isBusy in
            self?.writeToSupervisor { buffer in buffer.writeFrame(.busy) { $0.writeInteger(UInt8(isBusy ? 1 : 0)) } }
        }
        let handler: ModuleEntry.Handler
        switch function.handler {
        case .http, .stream, .webSocket: return function
        case .queue(let handle):
            handler = .queue { job, context in
                work.enter()
                defer { work.leave() }
                return try await handle(job, context)
            }
        case .event(let handle):
            handler = .event { event, context in
                work.enter()
                defer { work.leave() }
                try await handle(event, context)
            }
        case .schedule(let handle):
            handler = .schedule { tick, context in
                work.enter()
                defer { work.leave() }
                try await handle(tick, context)
            }
        }
        return LoadedFunction(name: function.name, manifest: function.manifest, handler: handler)
    }

    /// Serves until shutdown; then takes no more calls and lets those under way end.
    ///
    /// - Parameter runner: Runs the function within its limits.
    /// - Throws: When a link cannot be taken over.
    /// - Cancellation: closes the links at once.
    public func serve(_ runner: FunctionRunner) async throws {
        try await connect(runner)
        do {
            try await withGracefulShutdownHandler {
                try await withTaskCancellationHandler {
                    await finished.value()
                    try Task.checkCancellation()
                } onCancel: {
                    finished.set(())
                }
            } onGracefulShutdown: {
                self.finished.set(())
            }
        } catch {
            return close()
        }
        let links = links.withLock { $0 }
        for link in links { link.loop.execute { link.drain() } }
        if await !calls.waitUntilEmpty(atMost: drainTimeout, timer: links[0].loop) {
            logger.warning("calls are cut at shutdown", metadata: ["function": "\(runner.function.name)"])
            for link in links { link.loop.execute { link.cancelAll() } }
            _ = await calls.waitUntilEmpty(atMost: .seconds(1), timer: links[0].loop)
        }
        close()
    }

    private func connect(_ runner: FunctionRunner) async throws {
        let executors = loops.all
        for (index, descriptor) in descriptors.enumerated() {
            let link = ChildLink(
                executors[index % executors.count], index: index, receipts: receipts, runner: runner, counter: calls,
                logger: logger
            ) { [finished] in
                // The supervisor has gone.
                finished.set(())
            }
            links.withLock { $0.append(link) }
            _ = try await LinkChannel.bootstrap(link.loop)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        link.channel.owner = link
                        link.write { $0.writeFrame(.ready) }
                        try channel.pipeline.syncOperations.addHandler(link.channel)
                    }
                }
                .withConnectedSocket(descriptor).get()
        }
    }

    private func close() {
        for link in links.withLock({ $0 }) { link.loop.execute { link.channel.close() } }
    }

    private func writeToSupervisor(_ body: @escaping @Sendable (inout ByteBuffer) -> Void) {
        guard let link = links.withLock({ $0.first }) else { return }
        link.loop.execute { link.write(body) }
    }
}

/// A link server as a service.
public struct LinkService: Service, CustomStringConvertible {
    /// The name in the logs of services.
    public let description = "links"
    private let server: LinkServer
    private let runner: FunctionRunner

    /// Has a server serve a function.
    public init(_ server: LinkServer, _ runner: FunctionRunner) {
        self.server = server
        self.runner = runner
    }

    /// Serves until shutdown, or until the supervisor has gone.
    public func run() async throws { try await server.serve(runner) }
}
