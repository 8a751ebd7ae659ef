internal import NIOCore
internal import Synchronization

/// Counts what is under way, and tells when nothing is.
final class CallCounter: Sendable {
    private struct State {
        var count = 0
        var whenEmpty: [OneShot<Bool>] = []
    }

    private let state = Mutex(State())
    private let changed: @Sendable (Bool) -> Void

    /// - Parameter changed: Told when something is under way, and when nothing is any more.
    init(changed: @escaping @Sendable (Bool) -> Void = { _ in }) {
        self.changed = changed
    }

    func enter() {
        let isFirst = state.withLock { state in
            state.count += 1
            return state.count == 1
        }
        if isFirst { changed(true) }
    }

    func leave() {
        let (isLast, told) = state.withLock { state -> (Bool, [OneShot<Bool>]) in
            state.count -= 1
            guard state.count == 0 else { return (false, []) }
            defer { state.whenEmpty = [] }
            return (true, state.whenEmpty)
        }
        if isLast { changed(false) }
        for waiter in told { waiter.set(true) }
    }

    /// - Returns: Whether nothing was under way before the time was over.
    func waitUntilEmpty(atMost limit: Duration, timer loop: any EventLoop) async -> Bool {
        let outcome = OneShot<Bool>()
        let isEmpty = state.withLock { state in
            if state.count > 0 { state.whenEmpty.append(outcome) }
            return state.count == 0
        }
        if isEmpty { return true }
        let timer = loop.scheduleTask(in: TimeAmount(limit)) { _ = outcome.set(false) }
        defer { timer.cancel() }
        return await outcome.value()
    }
}
