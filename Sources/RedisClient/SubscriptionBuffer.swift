import DequeModule
import NIOCore
import Synchronization

/// What waits for the reader of one subscription; the newest is kept, and a gap stands for what was dropped.
final class SubscriptionBuffer: Sendable {
    private struct State {
        var elements: Deque<RedisSubscription.Element> = []
        var hasDropped = false
        var isFinished = false
        var reader: CheckedContinuation<RedisSubscription.Element?, Never>?
    }

    private let limit: Int
    private let state = Mutex(State())

    init(limit: Int) { self.limit = max(limit, 1) }

    var isFinished: Bool { state.withLock { $0.isFinished } }

    func push(_ element: RedisSubscription.Element) {
        let reader = state.withLock { state -> CheckedContinuation<RedisSubscription.Element?, Never>? in
            guard !state.isFinished else { return nil }
            if let reader = state.reader.take() { return reader }
            if element == .gap, state.elements.last == .gap { return nil }
            state.elements.append(element)
            if state.elements.count > limit {
                state.elements.removeFirst()
                state.hasDropped = true
            }
            return nil
        }
        reader?.resume(returning: element)
    }

    /// Ends the stream; what waits can still be read unless it is discarded.
    func finish(discarding: Bool) {
        let reader = state.withLock { state in
            state.isFinished = true
            if discarding {
                state.elements.removeAll()
                state.hasDropped = false
            }
            return state.reader.take()
        }
        reader?.resume(returning: nil)
    }

    func next() async -> RedisSubscription.Element? {
        await withCheckedContinuation { continuation in
            let element = state.withLock { state -> RedisSubscription.Element?? in
                if state.hasDropped {
                    state.hasDropped = false
                    return .some(.gap)
                }
                if let element = state.elements.popFirst() { return .some(element) }
                if state.isFinished { return .some(nil) }
                precondition(state.reader == nil, "a subscription has one reader at a time")
                state.reader = continuation
                return nil
            }
            if let element { continuation.resume(returning: element) }
        }
    }
}
