internal import NIOCore
internal import Synchronization

/// Tells when a process works on something and when it does not any more.
///
/// One job after another would tell both for each; so the end is told only when nothing has begun for a moment.
final class BusyReport: Sendable {
    private struct State {
        var count = 0
        var isTold = false
        var isChecking = false
    }

    private static let pause = TimeAmount.milliseconds(50)

    private let loop: any EventLoop
    private let tell: @Sendable (Bool) -> Void
    private let state = Mutex(State())

    /// - Parameters:
    ///   - loop: Whose timer and order is used.
    ///   - tell: Called on the loop.
    init(loop: any EventLoop, tell: @escaping @Sendable (Bool) -> Void) {
        self.loop = loop
        self.tell = tell
    }

    func enter() {
        let isNews = state.withLock { state in
            state.count += 1
            defer { state.isTold = true }
            return !state.isTold
        }
        if isNews { loop.execute { self.tell(true) } }
    }

    func leave() {
        let begins = state.withLock { state in
            state.count -= 1
            guard state.count == 0, !state.isChecking else { return false }
            state.isChecking = true
            return true
        }
        if begins { loop.scheduleTask(in: BusyReport.pause) { self.check() } }
    }

    private func check() {
        let isIdle = state.withLock { state in
            state.isChecking = false
            guard state.count == 0 else { return false }
            state.isTold = false
            return true
        }
        if isIdle { tell(false) }
    }
}
