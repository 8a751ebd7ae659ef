import Emulator
import Host
import Logging
import NIOPosix

/// Reads what was saved, and has the host serve it: a loop of one task over ``DevEvent``.
///
/// Reading and compiling is a task beside the loop. When files are saved again meanwhile, the newest wins: a compilation
/// of what is outdated is cancelled, though not again and again, and one that is not outdated goes on, and the new change
/// is next.
struct Reloader {
    let live: LiveHost
    let options: HostProcess.Options
    let console: DevConsole
    let terminal: Terminal
    /// Where the host is, where that is a URL.
    let base: String?
    let logger: Logger
    /// Reads the configuration anew. Blocks.
    let readConfiguration: @Sendable () throws -> Configuration

    private let events: AsyncStream<DevEvent>
    private let tell: AsyncStream<DevEvent>.Continuation
    private var configuration: Configuration
    private var plan: ReloadPlan
    private var pending = WatchedChange()
    private var pendingSince = ContinuousClock.now
    private var isAsked = false
    private var loading: (change: WatchedChange, task: Task<Void, Never>)?
    private var cancelledCount = 0

    /// How often in a row a compilation is cancelled for a newer change.
    private static let cancelLimit = 20

    init(
        running: HostProcess.Running, options: HostProcess.Options, console: DevConsole, terminal: Terminal,
        logger: Logger, readConfiguration: @escaping @Sendable () throws -> Configuration
    ) {
        live = running.live
        let isSecure = running.configuration.tls != nil
        base = running.addresses.first.flatMap { address in
            if case .tcp = address { address.url(isSecure: isSecure) } else { nil }
        }
        configuration = running.configuration
        plan = running.live.plan
        self.options = options
        self.console = console
        self.terminal = terminal
        self.logger = logger
        self.readConfiguration = readConfiguration
        // Unbounded, but keys are typed by a person, and changes are debounced.
        (events, tell) = AsyncStream.makeStream()
    }

    /// Takes events from elsewhere.
    var sink: @Sendable (DevEvent) -> Void { { [tell] in tell.yield($0) } }

    /// Reacts until `quit` or cancellation.
    mutating func run() async {
        for event in plan.problems { show(event, hasGood: false) }
        events: for await event in events {
            switch event {
            case .changed(let change): take(change)
            case .loaded(let load):
                loading = nil
                if load.isOutdated {
                    isAsked = isAsked || load.isAsked
                    pending.merge(load.change)
                    pendingSince = min(pendingSince, load.since)
                } else {
                    cancelledCount = 0
                    await apply(load)
                }
                begin()
            case .reload:
                isAsked = true
                take(WatchedChange(isWhole: true))
            case .list: list()
            case .help: console.line("r reload all, l list, q quit, h help")
            case .quit: break events
            }
        }
        loading?.task.cancel()
        await loading?.task.value
    }

    /// Prints what is served.
    func list() {
        for line in DevTable.lines(plan, base: base, terminal: terminal) { console.line(line) }
        if plan.items.isEmpty { console.line("  no functions in \(options.functionsFolder)") }
    }

    private mutating func take(_ change: WatchedChange) {
        if pending.isEmpty { pendingSince = .now }
        pending.merge(change)
        if let loading, loading.change.isOutdated(by: change), cancelledCount < Reloader.cancelLimit {
            cancelledCount += 1
            loading.task.cancel()
        }
        begin()
    }

    /// Begins with what is to be read, unless something is being read.
    private mutating func begin() {
        guard loading == nil, !pending.isEmpty else { return }
        let load = DevLoad(change: pending, since: pendingSince, isAsked: isAsked)
        pending = WatchedChange()
        isAsked = false
        let (tell, options, logger, readConfiguration) = (tell, options, logger, readConfiguration)
        // Owner: this loop, which cancels it and waits for its end.
        let task = Task {
            let load = await Reloader.read(load, options, logger, readConfiguration)
            tell.yield(.loaded(load))
        }
        loading = (load.change, task)
    }

    private static func read(
        _ load: DevLoad, _ options: HostProcess.Options, _ logger: Logger,
        _ readConfiguration: @escaping @Sendable () throws -> Configuration
    ) async -> DevLoad {
        var load = load
        if load.change.concernsConfiguration {
            do {
                load.configuration = .success(try await NIOThreadPool.singleton.runIfActive { try readConfiguration() })
            } catch {
                load.configuration = .failure(error)
            }
        }
        if load.change.concernsFunctions {
            var loading = options.loading
            loading.mayLackNamed = true
            do {
                load.registry = .success(
                    try await FunctionRegistry.load(
                        folder: options.functionsFolder, only: options.only, dataFolder: options.dataFolder,
                        options: loading, logger: logger))
            } catch {
                load.registry = .failure(error)
            }
        }
        // A compiler that was killed is no failure of its function.
        load.isOutdated = Task.isCancelled
        return load
    }

    // MARK: - Applying

    private mutating func apply(_ load: DevLoad) async {
        let setUp = await apply(load.configuration)
        switch load.registry {
        case nil: if let setUp { await serve(plan, setUp, load) }
        case .success(let registry): await serve(registry, setUp, load)
        case .failure(let error):
            console.line(terminal.coloured("not reloaded: \(error)", .red))
            if let setUp { await serve(plan, setUp, load) }
        }
    }

    /// Takes a configuration over.
    ///
    /// - Returns: The configuration, when functions must be set up anew by it.
    private mutating func apply(_ read: Result<Configuration, any Error>?) async -> Configuration? {
        switch read {
        case nil: return nil
        case .failure(let error):
            console.line(terminal.coloured("configuration refused; the last one holds:", .red))
            if let invalid = error as? Configuration.Invalid {
                for problem in invalid.problems { console.problem(problem) }
            } else {
                console.line("  \(error)")
            }
            return nil
        case .success(let new):
            let change = ConfigurationChange(from: configuration, to: new)
            configuration = change.configuration
            if !change.applied.isEmpty {
                LogOutput.level = configuration.log.level
                await live.server.replace(options: configuration.http)
                console.line("configuration: \(change.applied.joined(separator: ", ")) applied")
            }
            if !change.needingRestart.isEmpty {
                let keys = change.needingRestart.joined(separator: ", ")
                console.line(terminal.coloured("configuration: restart needed for \(keys)", .yellow))
            }
            return change.concernsFunctions ? configuration : nil
        }
    }

    /// Plans and serves; a function whose trigger cannot be made goes on as it was.
    private mutating func serve(_ registry: FunctionRegistry, _ setUp: Configuration?, _ load: DevLoad) async {
        var registry = registry
        let failed = Set(plan.problems.map(\.function))
        while true {
            let next = ReloadPlan(good: plan.good, failed: failed, registry: registry, isStrict: options.isStrict)
            do {
                try await live.serve(next, configuration: setUp)
            } catch let refusal as Deployment.Refusal where registry.functions.contains(refusal) {
                registry = registry.refusing(refusal)
                continue
            } catch {
                console.line(terminal.coloured("not reloaded: \(error)", .red))
                return
            }
            tellOf(next, load)
            plan = next
            return
        }
    }

    private mutating func serve(_ plan: ReloadPlan, _ setUp: Configuration, _ load: DevLoad) async {
        do {
            try await live.serve(plan, configuration: setUp)
        } catch {
            console.line(terminal.coloured("not reloaded: \(error)", .red))
        }
    }

    private func tellOf(_ next: ReloadPlan, _ load: DevLoad) {
        let time = InvocationReport.text(.now - load.since)
        let known = Set(plan.problems)
        var isQuiet = true
        for (name, change) in next.changes.sorted(by: { $0.key < $1.key }) {
            let isMended = plan.problems.contains { $0.function == name }
            switch change {
            case .failed(let hasGood):
                let problems = next.problems.filter { $0.function == name }
                let isNew = load.change.functions.contains(name) || !known.isSuperset(of: problems)
                guard isNew else { continue }
                for problem in problems { show(problem, hasGood: hasGood) }
            case .added, .changed, .mended:
                let verb = isMended ? "mended" : change == .added ? "added" : "reloaded"
                console.line(terminal.coloured("\(verb) \(name) in \(time)", .green))
            case .removed: console.line(terminal.coloured("removed \(name)", .yellow))
            }
            isQuiet = false
        }
        if isQuiet, load.isAsked { console.line("nothing has changed") }
    }

    private func show(_ problem: FunctionProblem, hasGood: Bool) {
        let rest =
            options.isStrict
            ? "it answers with this error:" : hasGood ? "its last good version goes on:" : "it is not served:"
        console.line(terminal.coloured("failed \(problem.function); \(rest)", .red))
        console.problem(problem.problem)
    }
}

extension [LoadedFunction] {
    fileprivate func contains(_ refusal: Deployment.Refusal) -> Bool { contains { $0.name == refusal.function } }
}
