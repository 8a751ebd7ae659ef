public import ServiceLifecycle
internal import Synchronization

/// The functions that a process serves: their runners, and the triggers that run. The set may change while it runs.
///
/// A change leaves functions alone that are the same (module and manifest). A function that changed gets a new runner,
/// which shares the places of the one before it, and a new trigger, after the old one was asked to end: it fetches nothing
/// more, and what it runs ends on the old code, or goes back to its queue when the grace is over. Requests are no trigger's;
/// whoever serves them is handed the new runners. What was replaced is released when nothing of it runs any more, and a
/// handler that goes on for ever loses its place.
public actor Deployment: Service, CustomStringConvertible {
    /// What makes functions callable.
    public struct Setup: Sendable {
        /// What their invocations share.
        public var services: InvocationServices
        /// What stands between a function and its callers.
        public var decorate: @Sendable (LoadedFunction) -> LoadedFunction
        /// Makes the trigger of a function that is not called by requests.
        public var makeTrigger: @Sendable (FunctionRunner) throws -> (any Service)?

        /// Makes a setup.
        public init(
            services: InvocationServices, decorate: @escaping @Sendable (LoadedFunction) -> LoadedFunction = { $0 },
            makeTrigger: @escaping @Sendable (FunctionRunner) throws -> (any Service)?
        ) {
            self.services = services
            self.decorate = decorate
            self.makeTrigger = makeTrigger
        }
    }

    /// A function that is to be served.
    public struct Item: Sendable {
        /// The function.
        public let function: LoadedFunction
        /// Whether its queue or its schedule calls it.
        public let isTriggered: Bool

        /// Makes an item.
        public init(_ function: LoadedFunction, isTriggered: Bool = true) {
            self.function = function
            self.isTriggered = isTriggered
        }

        fileprivate func isSame(as other: Item) -> Bool {
            isTriggered == other.isTriggered && function.isSame(as: other.function)
        }
    }

    /// A function whose trigger cannot be made.
    public struct Refusal: Error, CustomStringConvertible {
        /// The function's name.
        public let function: String
        /// Why not.
        public let reason: any Error

        /// The reason.
        public var description: String { "\(function): \(reason)" }
    }

    private struct Entry: Sendable {
        let item: Item
        let runner: FunctionRunner
        let trigger: RunningTrigger?
    }

    private struct Runners {
        var current: [FunctionRunner] = []
        /// What was replaced and may still run.
        var earlier: [FunctionRunner] = []
    }

    private enum Step: Sendable {
        case run(RunningTrigger)
        case retire(Entry)
    }

    private var setup: Setup
    private var entries: [String: Entry] = [:]
    private var servedModules: Set<String> = []
    private let runnersNow = Mutex(Runners())
    private let steps: AsyncStream<Step>
    /// Unbounded, but a step is a change of a function.
    private let next: AsyncStream<Step>.Continuation

    /// Makes a deployment without functions.
    public init(_ setup: Setup) {
        self.setup = setup
        (steps, next) = AsyncStream.makeStream()
    }

    /// The name in the logs of services, which would otherwise print every property.
    public nonisolated var description: String { "deployment" }

    /// The runners of the functions, sorted by name.
    public nonisolated var runners: [FunctionRunner] { runnersNow.withLock { $0.current } }

    /// All runners that may have something running, those of replaced versions too.
    public nonisolated var allRunners: [FunctionRunner] { runnersNow.withLock { $0.current + $0.earlier } }

    /// Serves these functions from now on and no others. Calls must not overlap.
    ///
    /// - Parameters:
    ///   - items: The functions; their names differ.
    ///   - newSetup: What makes them callable from now on, also those that are the same; `nil` leaves that as it is.
    ///   - publish: Has requests led to the new runners; called before any trigger ends or begins.
    /// - Throws: ``Refusal``, or what `publish` throws; then nothing has changed.
    public func apply(
        _ items: [Item], setup newSetup: Setup? = nil,
        publish: @Sendable ([FunctionRunner]) async throws -> Void = { _ in }
    ) async throws {
        let setup = newSetup ?? setup
        var changed: [String: Entry] = [:]
        var all: [String: Entry] = [:]
        for item in items {
            let name = item.function.name
            let earlier = entries[name]
            if newSetup == nil, let earlier, earlier.item.isSame(as: item) {
                all[name] = earlier
                continue
            }
            let entry = try makeEntry(item, setup, after: earlier?.runner)
            all[name] = entry
            changed[name] = entry
        }
        let runners = all.values.map(\.runner).sorted { $0.function.name < $1.function.name }
        try await publish(runners)

        let ended = entries.values.filter { all[$0.item.function.name]?.runner !== $0.runner }
        self.setup = setup
        entries = all
        servedModules.formUnion(items.filter(\.isTriggered).compactMap(\.function.module))
        runnersNow.withLock { now in
            now.current = runners
            now.earlier += ended.map(\.runner)
        }
        for entry in ended { await entry.trigger?.stop() }
        for entry in ended { next.yield(.retire(entry)) }
        for trigger in changed.values.compactMap(\.trigger) { next.yield(.run(trigger)) }
    }

    private func makeEntry(_ item: Item, _ setup: Setup, after earlier: FunctionRunner?) throws -> Entry {
        let isCold = item.function.module.map { !servedModules.contains($0) } ?? true
        let runner = FunctionRunner(
            setup.decorate(item.function), services: setup.services, after: earlier, isCold: isCold)
        do {
            let trigger = item.isTriggered ? try setup.makeTrigger(runner) : nil
            let logger = setup.services.logger
            return Entry(item: item, runner: runner, trigger: trigger.map { RunningTrigger($0, logger: logger) })
        } catch {
            throw Refusal(function: item.function.name, reason: error)
        }
    }

    /// Runs the triggers until shutdown, which ends them gracefully.
    ///
    /// - Throws: What a trigger throws; that ends the others.
    public func run() async throws {
        let next = next
        try await withGracefulShutdownHandler {
            try await withThrowingDiscardingTaskGroup { group in
                for await step in steps {
                    switch step {
                    case .run(let trigger): group.addTask { try await trigger.run() }
                    case .retire(let entry): group.addTask { await self.retire(entry) }
                    }
                }
            }
        } onGracefulShutdown: {
            next.finish()
        }
    }

    /// Waits for the end of what was replaced. Ends at shutdown, when there are others who wait for it.
    private nonisolated func retire(_ entry: Entry) async {
        await entry.trigger?.waitUntilEnded()
        let runner = entry.runner
        // By then each handler that heeds its cancellation has ended.
        let limit = runner.function.manifest.timeout + .seconds(2)
        let isIdle = await cancelWhenGracefulShutdown { await runner.waitUntilIdle(atMost: limit) }
        guard !Task.isCancelled else { return }
        if !isIdle, !Task.isShuttingDownGracefully { runner.writeOff() }
        if isIdle || !Task.isShuttingDownGracefully {
            runnersNow.withLock { now in now.earlier.removeAll { $0 === runner } }
        }
    }
}
