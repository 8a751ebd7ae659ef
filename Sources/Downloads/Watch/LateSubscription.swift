internal import FunctionKit
internal import Synchronization

/// A subscription that could not be made when it was wanted, for the store was away: it is made when the store is back.
///
/// Then a ``FunctionKit/ChannelElement/gap`` stands for what its reader may have missed. A store that stays away longer
/// than the watch's patience ends it.
final class LateSubscription: ChannelSubscription {
    private struct State {
        var subscription: (any ChannelSubscription)?
        var isCancelled = false
    }

    private let channel: String
    private let store: any KeyValueStore
    private let patience: JobWatch.Patience
    private let deadline: ContinuousClock.Instant
    private let state = Mutex(State())

    init(to channel: String, of store: any KeyValueStore, patience: JobWatch.Patience) {
        self.channel = channel
        self.store = store
        self.patience = patience
        deadline = .now + patience.limit
    }

    func next() async -> [ChannelElement] {
        if let subscription = state.withLock({ $0.subscription }) { return await subscription.next() }
        var delay = patience.firstDelay
        while true {
            // Thousands of watchers must not ask in step.
            let pause = delay * Double.random(in: 0.5...1)
            guard ContinuousClock.now + pause < deadline, (try? await Task.sleep(for: pause)) != nil, !isCancelled
            else {
                return []
            }
            if let made = try? await store.listen(to: channel) { return keep(made) ? [.gap] : [] }
            delay = min(delay * 2, patience.longestDelay)
        }
    }

    func cancel() {
        let subscription = state.withLock { state in
            state.isCancelled = true
            return state.subscription
        }
        subscription?.cancel()
    }

    private var isCancelled: Bool { state.withLock { $0.isCancelled } }

    /// - Returns: `false` when it came too late and was cancelled.
    private func keep(_ made: any ChannelSubscription) -> Bool {
        let isKept = state.withLock { state in
            if !state.isCancelled { state.subscription = made }
            return !state.isCancelled
        }
        if !isKept { made.cancel() }
        return isKept
    }
}
