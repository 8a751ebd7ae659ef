internal import FunctionKit
internal import Glibc
internal import Logging
internal import NIOCore
internal import Synchronization

extension ProcessPool {
    /// How long a process must have lived for its crash to be the first of a row.
    private static let soundAge = TimeAmount.seconds(10)
    private static let firstPause = TimeAmount.milliseconds(100)
    private static let longestPause = TimeAmount.seconds(30)
    private static let killTime = Duration.seconds(5)

    // MARK: - By their own doing

    /// A link is closed: the process has ended, or what came over it was no frame.
    func noticedClosed(_ process: FunctionProcess) {
        state.withLock { state in
            guard let index = state.entries.firstIndex(where: { $0.process === process }),
                state.entries[index].isLive
            else { return }
            noteFailure(of: index, &state)
            // Its links close one after the other; one that does not end has only lost its link.
            state.entries[index].killAt = .now() + .seconds(1)
        }
    }

    /// The process has ended. Called once, on any thread.
    func ended(_ process: FunctionProcess, _ ending: ProcessEnding) {
        let (entry, told) = state.withLock { state -> (Entry?, [OneShot<Bool>]) in
            guard let index = state.entries.firstIndex(where: { $0.process === process }) else { return (nil, []) }
            if state.entries[index].isLive, ending != .exited(0) || state.entries[index].readyAt == nil {
                noteFailure(of: index, &state)
            }
            let entry = state.entries.remove(at: index)
            guard state.entries.isEmpty else { return (entry, []) }
            defer { state.whenEmpty = [] }
            return (entry, state.whenEmpty)
        }
        process.closeLinks()
        for waiter in told { waiter.set(true) }
        guard let entry else { return }
        let wasCrash = entry.isKilled || ending != .exited(0)
        report(entry, ending, wasCrash: wasCrash)
        guard let observer else { return }
        let (function, token) = (function, process.token)
        // Owner: the observer, which bounds what it does; nothing here waits for it.
        Task { await observer.processEnded(function: function, workerToken: token, wasCrash: wasCrash) }
    }

    private func report(_ entry: Entry, _ ending: ProcessEnding, wasCrash: Bool) {
        let age = NIODeadline.now() - entry.process.startedAt
        let metadata: Logger.Metadata = [
            "function": "\(function)", "child": "\(entry.pid ?? 0)", "ending": "\(ending)",
            "in_flight": "\(entry.inFlight)", "age_ms": "\(age.nanoseconds / 1_000_000)",
        ]
        if entry.isKilled {
            logger.warning("a function's process was killed", metadata: metadata)
        } else if !wasCrash {
            logger.info("a function's process has ended", metadata: metadata)
        } else if entry.readyAt == nil {
            logger.error("a function's process did not start", metadata: metadata)
        } else {
            logger.error("a function's process has crashed", metadata: metadata)
        }
    }

    /// Counts a failure, of a process or of making one, and sets the time before which none is started. Called under
    /// the lock.
    func noteFailure(of index: Int?, _ state: inout State) {
        let now = NIODeadline.now()
        var isStartFailure = true
        if let index {
            state.entries[index].isLive = false
            isStartFailure = state.entries[index].readyAt == nil
            if now - state.entries[index].process.startedAt > ProcessPool.soundAge { state.failures = 0 }
        }
        state.failures += 1
        // One that worked until now is replaced at once.
        let doublings = isStartFailure ? state.failures - 1 : state.failures - 2
        guard doublings >= 0 else { return }
        let pause = min(ProcessPool.firstPause * (1 << min(doublings, 10)), ProcessPool.longestPause)
        state.retryAt = now + pause
    }

    // MARK: - By the host's wish

    /// Ends a process of which a handler is stuck: its other calls have a short time.
    func retire(_ process: FunctionProcess, _ reason: String) {
        let pid = change(process) { entry -> Int32? in
            guard !entry.isStuck else { return nil }
            entry.isLive = false
            entry.isStuck = true
            entry.isAskedToEnd = true
            entry.killAt = min(entry.killAt, .now() + TimeAmount(limits.stuckGrace))
            return entry.pid
        }
        guard let pid, let pid else { return }
        logger.error(
            "a function's process is replaced: \(reason)",
            metadata: ["function": "\(function)", "child": "\(pid)"])
        launcher.signal(pid, SIGTERM)
    }

    /// Stops all processes: in order at first, then by force.
    ///
    /// - Parameter grace: The time for the orderly end.
    func stop(grace: Duration) async {
        let pids = state.withLock { state -> [Int32] in
            state.isStopped = true
            let killAt = NIODeadline.now() + TimeAmount(grace)
            for index in state.entries.indices {
                state.entries[index].isLive = false
                state.entries[index].isAskedToEnd = true
                state.entries[index].killAt = min(state.entries[index].killAt, killAt)
            }
            return state.entries.compactMap(\.pid)
        }
        for pid in pids { launcher.signal(pid, SIGTERM) }
        if await !waitUntilEmpty(atMost: grace + Self.killTime) {
            logger.warning("a function's process is left", metadata: ["function": "\(function)"])
        }
    }

    /// - Returns: Whether no process is left.
    func waitUntilEmpty(atMost limit: Duration) async -> Bool {
        let outcome = OneShot<Bool>()
        let isEmpty = state.withLock { state in
            if !state.entries.isEmpty { state.whenEmpty.append(outcome) }
            return state.entries.isEmpty
        }
        if isEmpty { return true }
        let timer = timerLoop.scheduleTask(in: TimeAmount(limit)) { _ = outcome.set(false) }
        defer { timer.cancel() }
        return await outcome.value()
    }

    // MARK: - Time

    /// Begins to look after the processes, until none is left.
    func watch() {
        let begins = state.withLock { state in
            defer { state.isWatching = true }
            return !state.isWatching
        }
        if begins { scheduleLook() }
    }

    private func scheduleLook() {
        let pause = min(max(limits.idleTime / 10, .milliseconds(20)), .milliseconds(250))
        timerLoop.scheduleTask(in: TimeAmount(pause)) { self.look() }
    }

    /// Stops what is idle, and kills what is over its time.
    private func look() {
        let now = NIODeadline.now()
        var idle: [Int32] = []
        var over: [Int32] = []
        let goesOn = state.withLock { state in
            for index in state.entries.indices {
                guard let pid = state.entries[index].pid, !state.entries[index].isKilled else { continue }
                let entry = state.entries[index]
                let isLate = entry.readyAt == nil && now > entry.process.startedAt + TimeAmount(limits.startTimeout)
                let isAlone = entry.isStuck && entry.inFlight <= entry.abandoned && !entry.isBusy
                if now >= entry.killAt || isLate || isAlone {
                    if entry.isLive { noteFailure(of: index, &state) }
                    state.entries[index].isKilled = true
                    over.append(pid)
                } else if entry.isLive, entry.readyAt != nil, entry.inFlight == 0, !entry.isBusy,
                    now > entry.idleSince + TimeAmount(limits.idleTime)
                {
                    state.entries[index].isLive = false
                    state.entries[index].isAskedToEnd = true
                    state.entries[index].killAt = now + TimeAmount(limits.stopGrace)
                    idle.append(pid)
                }
            }
            state.isWatching = !state.entries.isEmpty
            return state.isWatching
        }
        for pid in idle { launcher.signal(pid, SIGTERM) }
        for pid in over { launcher.signal(pid, SIGKILL) }
        if goesOn { scheduleLook() }
    }
}
