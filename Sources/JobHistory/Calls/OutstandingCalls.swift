internal import Dispatch
internal import Synchronization

/// The calls under way: it bounds them, and tells those whose deadline has passed.
///
/// Deadlines are watched by a tick on a queue of its own while there is a call, so a caller gets its answer in time also
/// when the thread that does its work hangs.
final class OutstandingCalls: Sendable {
    private struct State {
        var calls: [UInt64: any AnyPendingCall] = [:]
        var nextID: UInt64 = 0
        var isTicking = false
        var isClosed = false
    }

    let timeout: Duration
    /// Where the ticks run; free for what must not run on a database's own queue.
    let clock = DispatchQueue(label: "ferry.history.deadlines")
    private let limit: Int
    private let state = Mutex(State())

    init(limit: Int, timeout: Duration) {
        self.limit = limit
        self.timeout = timeout
    }

    /// How many calls are under way.
    var count: Int { state.withLock { $0.calls.count } }

    /// Has a call done and waits for its answer.
    ///
    /// - Parameters:
    ///   - call: The call.
    ///   - begin: Hands it over to whoever does its work.
    /// - Returns: The answer.
    /// - Throws: ``HistoryError`` `closed` or `overloaded`, then `begin` was not called; what the call was failed with.
    func run<Value: Sendable>(_ call: PendingCall<Value>, begin: () -> Void) async throws -> Value {
        let id = try admit(call)
        defer { state.withLock { _ = $0.calls.removeValue(forKey: id) } }
        begin()
        return try await call.value()
    }

    /// Takes no more calls.
    ///
    /// - Returns: Whether this was the first time.
    func close() -> Bool {
        state.withLock { state in
            defer { state.isClosed = true }
            return !state.isClosed
        }
    }

    private func admit(_ call: any AnyPendingCall) throws -> UInt64 {
        let (id, ticks) = try state.withLock { state -> (UInt64, Bool) in
            guard !state.isClosed else { throw HistoryError(.closed, "the history is closed") }
            guard state.calls.count < limit else {
                throw HistoryError(.overloaded, "\(limit) calls are waiting already")
            }
            state.nextID += 1
            state.calls[state.nextID] = call
            defer { state.isTicking = true }
            return (state.nextID, !state.isTicking)
        }
        if ticks { scheduleTick() }
        return id
    }

    private func scheduleTick() {
        let tick = min(timeout / 4, .milliseconds(250))
        let (seconds, attoseconds) = tick.components
        let nanoseconds = Int(seconds) * 1_000_000_000 + Int(attoseconds / 1_000_000_000)
        clock.asyncAfter(deadline: .now() + .nanoseconds(max(nanoseconds, 1_000_000))) { self.tick() }
    }

    private func tick() {
        let now = ContinuousClock.now
        let (late, goesOn) = state.withLock { state -> ([any AnyPendingCall], Bool) in
            state.isTicking = !state.calls.isEmpty
            return (state.calls.values.filter { $0.deadline <= now }, state.isTicking)
        }
        for call in late { call.fail(HistoryError(.timeout, "no answer within \(timeout)")) }
        if goesOn { scheduleTick() }
    }
}
