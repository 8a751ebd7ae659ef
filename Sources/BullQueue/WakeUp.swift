package import NIOCore
internal import Synchronization

/// One task waits here for a sign that there is something to do. A sign given while it does not wait is kept.
package final class WakeUp: Sendable {
    private struct State {
        var isGiven = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    /// Makes one without a sign.
    package init() {}

    /// Gives the sign.
    package func notify() {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard let waiter = state.waiter else {
                state.isGiven = true
                return nil
            }
            state.waiter = nil
            return waiter
        }
        waiter?.resume()
    }

    /// Waits for a sign or until `deadline`; there is one waiter at a time.
    ///
    /// Cancellation does not end the wait: the waiting tasks are ended by a sign.
    package func wait(until deadline: NIODeadline?, timers: any EventLoop) async {
        let timer = deadline.map { timers.scheduleTask(deadline: $0) { self.notify() } }
        await withCheckedContinuation { continuation in
            let isGiven = state.withLock { state in
                precondition(state.waiter == nil, "one waiter at a time")
                if !state.isGiven { state.waiter = continuation }
                defer { state.isGiven = false }
                return state.isGiven
            }
            if isGiven { continuation.resume() }
        }
        timer?.cancel()
    }
}
