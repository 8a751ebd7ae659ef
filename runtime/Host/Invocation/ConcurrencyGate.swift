internal import DequeModule
internal import Synchronization

/// Lets so many in at once, so many more wait in order, and turns the others away.
final class ConcurrencyGate: Sendable {
    /// A place in the queue.
    final class Ticket: Sendable {
        /// Called once when the place is granted, on whichever thread left the gate.
        let granted: @Sendable () -> Void

        init(_ granted: @escaping @Sendable () -> Void) {
            self.granted = granted
        }
    }

    enum Entry {
        case entered
        case waiting(Ticket)
        case turnedAway
    }

    private struct State {
        var running = 0
        var waiting: Deque<Ticket> = []
        var whenEmpty: [@Sendable () -> Void] = []
    }

    private let limit: Int
    private let queueLimit: Int
    private let state = Mutex(State())

    init(limit: Int, queueLimit: Int) {
        self.limit = limit
        self.queueLimit = queueLimit
    }

    /// How many are in, and how many wait.
    var counts: (running: Int, waiting: Int) { state.withLock { ($0.running, $0.waiting.count) } }

    /// Enters, or queues up. Whoever entered, or whose ticket was granted, must ``leave()`` once.
    func enter(granted: () -> @Sendable () -> Void) -> Entry {
        state.withLock { state in
            if state.running < limit {
                state.running += 1
                return .entered
            }
            guard state.waiting.count < queueLimit else { return .turnedAway }
            let ticket = Ticket(granted())
            state.waiting.append(ticket)
            return .waiting(ticket)
        }
    }

    /// Gives a place in the queue up.
    ///
    /// - Returns: `false` when it was granted already: then `granted` has been or is being called.
    @discardableResult
    func cancel(_ ticket: Ticket) -> Bool {
        state.withLock { state in
            guard let index = state.waiting.firstIndex(where: { $0 === ticket }) else { return false }
            state.waiting.remove(at: index)
            return true
        }
    }

    /// Makes room for the next.
    func leave() {
        let (next, told) = state.withLock { state -> (Ticket?, [@Sendable () -> Void]) in
            if let next = state.waiting.popFirst() { return (next, []) }
            state.running -= 1
            guard state.running == 0 else { return (nil, []) }
            defer { state.whenEmpty = [] }
            return (nil, state.whenEmpty)
        }
        next?.granted()
        for tell in told { tell() }
    }

    /// Calls back once nobody is in, at once if that is so already.
    func whenEmpty(_ tell: @escaping @Sendable () -> Void) {
        let isEmpty = state.withLock { state in
            if state.running > 0 { state.whenEmpty.append(tell) }
            return state.running == 0
        }
        if isEmpty { tell() }
    }
}
