internal import FunctionKit
internal import Glibc
internal import Logging
internal import NIOCore
internal import Synchronization

/// The processes of one function: none at first, one more when all are full, none again after a while without work.
///
/// A call takes the oldest process that has room, so that what is too much idles out. A process is *live* until it is to
/// end, for whatever reason; only live ones count towards the limit and get calls. `+Ending` holds how they end.
final class ProcessPool: Sendable {
    struct Limits: Sendable {
        /// How many processes at most.
        var processCount: Int
        /// How many calls a process works on at once.
        var concurrency: Int
        /// After how long without work a process is stopped.
        var idleTime: Duration
        /// How long a process has to end in order.
        var stopGrace: Duration
        /// How long one with a stuck handler has for its other calls.
        var stuckGrace = Duration.seconds(5)
        /// How long a start may take.
        var startTimeout = Duration.seconds(30)
    }

    enum Acquisition {
        case process(FunctionProcess)
        /// None may be started before then.
        case backOff(until: NIODeadline)
        /// All are full.
        case full
        case stopped
    }

    struct Entry {
        let process: FunctionProcess
        var pid: Int32?
        var isLive = true
        var inFlight = 0
        var abandoned = 0
        var isBusy = false
        var idleSince = NIODeadline.now()
        var readyAt: NIODeadline?
        /// When it is killed unless it has ended.
        var killAt = NIODeadline.distantFuture
        /// Whether it is killed as soon as only calls are left for which nobody waits.
        var isStuck = false
        /// Whether its end is the host's wish.
        var isAskedToEnd = false
        var isKilled = false
    }

    struct State {
        var entries: [Entry] = []
        /// The failures in a row.
        var failures = 0
        var retryAt = NIODeadline.uptimeNanoseconds(0)
        var isStopped = false
        var isWatching = false
        var whenEmpty: [OneShot<Bool>] = []
    }

    let function: String
    let limits: Limits
    let logger: Logger
    let launcher: any ProcessLauncher
    let observer: (any FunctionProcessObserver)?
    let state = Mutex(State())
    private let module: String
    private let loops: [any EventLoop]
    private let name: Logger.Metadata

    init(
        function: String, module: String, limits: Limits, loops: [any EventLoop], launcher: any ProcessLauncher,
        observer: (any FunctionProcessObserver)?, logger: Logger
    ) {
        self.function = function
        self.module = module
        self.limits = limits
        self.loops = loops
        self.launcher = launcher
        self.observer = observer
        self.logger = logger
        name = ["function": "\(function)"]
    }

    /// The loop of the pool's own timer.
    var timerLoop: any EventLoop { loops[0] }

    // MARK: - Calls

    /// Takes a place in a process, which is started if need be; the place must be given back by ``release(_:)``.
    func acquire() -> Acquisition {
        let (found, order) = state.withLock { state -> (Acquisition, ProcessOrder?) in
            guard !state.isStopped else { return (.stopped, nil) }
            var liveCount = 0
            for index in state.entries.indices where state.entries[index].isLive {
                liveCount += 1
                guard state.entries[index].inFlight < limits.concurrency else { continue }
                state.entries[index].inFlight += 1
                return (.process(state.entries[index].process), nil)
            }
            guard liveCount < limits.processCount else { return (.full, nil) }
            let now = NIODeadline.now()
            guard now >= state.retryAt else { return (.backOff(until: state.retryAt), nil) }
            guard let order = add(to: &state) else { return (.backOff(until: state.retryAt), nil) }
            let last = state.entries.count - 1
            state.entries[last].inFlight = 1
            return (.process(state.entries[last].process), order)
        }
        if let order { launch(order, found) }
        return found
    }

    /// Gives a place back.
    ///
    /// - Parameters:
    ///   - process: Whose.
    ///   - hasAnswered: Whether the process has ended the call, so that it works.
    ///   - wasAbandoned: Whether nobody had waited for the call any more.
    func release(_ process: FunctionProcess, hasAnswered: Bool, wasAbandoned: Bool) {
        state.withLock { state in
            if hasAnswered { state.failures = 0 }
            guard let index = state.entries.firstIndex(where: { $0.process === process }) else { return }
            state.entries[index].inFlight -= 1
            if wasAbandoned { state.entries[index].abandoned = max(0, state.entries[index].abandoned - 1) }
            if state.entries[index].inFlight == 0 { state.entries[index].idleSince = .now() }
        }
    }

    /// Starts processes if fewer run, and keeps those that run for another idle time.
    func ensure(_ count: Int) {
        while true {
            let (process, order) = state.withLock { state -> (FunctionProcess?, ProcessOrder?) in
                let now = NIODeadline.now()
                for index in state.entries.indices where state.entries[index].isLive {
                    state.entries[index].idleSince = now
                }
                let liveCount = state.entries.count { $0.isLive }
                guard !state.isStopped, liveCount < min(count, limits.processCount), now >= state.retryAt,
                    let order = add(to: &state)
                else { return (nil, nil) }
                return (state.entries.last?.process, order)
            }
            guard let process, let order else { return }
            launch(order, .process(process))
        }
    }

    var runningCount: Int { state.withLock { state in state.entries.count { $0.isLive } } }

    var statuses: [FunctionProcessStatus] {
        let now = NIODeadline.now()
        return state.withLock { state in
            state.entries.map { entry in
                FunctionProcessStatus(
                    pid: entry.pid, state: !entry.isLive ? .ending : entry.readyAt == nil ? .starting : .running,
                    inFlight: entry.inFlight, age: .nanoseconds((now - entry.process.startedAt).nanoseconds),
                    coldStart: entry.readyAt.map { .nanoseconds(($0 - entry.process.startedAt).nanoseconds) })
            }
        }
    }

    // MARK: - Starting

    /// Makes a process. Called under the lock.
    private func add(to state: inout State) -> ProcessOrder? {
        do throws(LoaderError) {
            let made = try FunctionProcess.make(loops: loops, logger: logger) { [weak self] process, notice in
                self?.noticed(process, notice)
            }
            state.entries.append(Entry(process: made.process))
            return ProcessOrder(
                function: function, module: module, token: made.process.token, links: made.ends,
                receipts: made.process.receipts)
        } catch {
            noteFailure(of: nil, &state)
            logger.error("a function's process cannot be started", metadata: name.with("reason", "\(error)"))
            return nil
        }
    }

    private func launch(_ order: ProcessOrder, _ acquisition: Acquisition) {
        guard case .process(let process) = acquisition else { return }
        launcher.launch(order) { pid in
            let isUnwanted = self.change(process) { entry in
                entry.pid = pid
                return entry.isAskedToEnd
            }
            // It was to end before it was there.
            if isUnwanted == true { self.launcher.signal(pid, SIGTERM) }
        } ended: { ending in
            self.ended(process, ending)
        }
        watch()
    }

    // MARK: - What processes tell

    private func noticed(_ process: FunctionProcess, _ notice: SupervisorLink.Notice) {
        switch notice {
        case .ready: noticedReady(process)
        case .busy(let isBusy):
            change(process) { entry in
                entry.isBusy = isBusy
                if !isBusy { entry.idleSince = .now() }
            }
        case .abandoned: change(process) { $0.abandoned += 1 }
        case .draining:
            // Somebody else has asked it to end.
            change(process) { entry in
                entry.isLive = false
                entry.killAt = min(entry.killAt, .now() + TimeAmount(limits.stopGrace))
            }
        case .stuck(let reason): retire(process, reason)
        case .closed: noticedClosed(process)
        }
    }

    private func noticedReady(_ process: FunctionProcess) {
        let cold = change(process) { entry -> (Int32?, TimeAmount)? in
            guard entry.readyAt == nil else { return nil }
            let now = NIODeadline.now()
            entry.readyAt = now
            entry.idleSince = now
            return (entry.pid, now - process.startedAt)
        }
        guard let cold, let (pid, time) = cold else { return }
        logger.info(
            "a function's process has started",
            metadata: name.with("child", "\(pid ?? 0)").with("cold_ms", "\(time.nanoseconds / 1_000_000)"))
    }

    /// Changes the process's entry under the lock, if it is still there.
    @discardableResult
    func change<Output>(_ process: FunctionProcess, _ body: (inout Entry) -> Output) -> Output? {
        state.withLock { state in
            guard let index = state.entries.firstIndex(where: { $0.process === process }) else { return nil }
            return body(&state.entries[index])
        }
    }
}

extension Logger.Metadata {
    func with(_ key: String, _ value: String) -> Logger.Metadata {
        var all = self
        all[key] = "\(value)"
        return all
    }
}
