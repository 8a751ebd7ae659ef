import DequeModule
import FunctionKit
import NIOCore
import Synchronization

/// What waits for the reader of one subscription; the newest is kept, and a gap stands for what was dropped.
final class SubscriptionBuffer: Sendable {
    private struct State {
        var elements: Deque<ChannelElement> = []
        var hasDropped = false
        var isFinished = false
        var reader: CheckedContinuation<[ChannelElement], Never>?
    }

    private let limit: Int
    private let state = Mutex(State())

    init(limit: Int) { self.limit = max(limit, 1) }

    var isFinished: Bool { state.withLock { $0.isFinished } }

    func push(_ element: ChannelElement) {
        let reader = state.withLock { state -> CheckedContinuation<[ChannelElement], Never>? in
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
        reader?.resume(returning: [element])
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
        reader?.resume(returning: [])
    }

    /// Takes all that waits, or waits for the next element; empty at the end.
    func next() async -> [ChannelElement] {
        await withCheckedContinuation { continuation in
            let elements = state.withLock { state -> [ChannelElement]? in
                if state.elements.isEmpty, !state.hasDropped {
                    if state.isFinished { return [] }
                    precondition(state.reader == nil, "a subscription has one reader at a time")
                    state.reader = continuation
                    return nil
                }
                defer { state.elements.removeAll() }
                guard state.hasDropped else { return Array(state.elements) }
                state.hasDropped = false
                return state.elements.first == .gap ? Array(state.elements) : [.gap] + state.elements
            }
            if let elements { continuation.resume(returning: elements) }
        }
    }
}
