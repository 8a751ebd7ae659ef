internal import DequeModule
internal import Synchronization

/// Lets so many in at once, so many more wait in order, and turns the others away.
///
/// A gate may succeed another, when a function's code is swapped: both share their places and their queue, so that the
/// limit holds for the function and not for each version of it. What a version keeps for good can be written off.
final class ConcurrencyGate: Sendable {
    /// A place in the queue.
    final class Ticket: Sendable {
        /// Called once when the place is granted, on whichever thread left the gate.
        let granted: @Sendable () -> Void
        fileprivate let gate: ConcurrencyGate

        fileprivate init(_ gate: ConcurrencyGate, _ granted: @escaping @Sendable () -> Void) {
            self.gate = gate
            self.granted = granted
        }
    }

    enum Entry {
        case entered
        case waiting(Ticket)
        case turnedAway
    }

    /// What a gate shares with those that succeed it.
    private final class Places: Sendable {
        struct State {
            var limit: Int
            var queueLimit: Int
            var running = 0
            var waiting: Deque<Ticket> = []
        }

        let state: Mutex<State>

        init(limit: Int, queueLimit: Int) { state = Mutex(State(limit: limit, queueLimit: queueLimit)) }
    }

    /// What belongs to this gate alone. Changed under the lock of the places.
    private struct Own {
        var running = 0
        /// How many of the running hold no place any more.
        var writtenOff = 0
        var whenEmpty: [@Sendable () -> Void] = []
    }

    private let places: Places
    private let own = Mutex(Own())

    init(limit: Int, queueLimit: Int) {
        places = Places(limit: limit, queueLimit: queueLimit)
    }

    /// Makes the gate that succeeds another, whose places it shares from now on within new limits.
    init(after gate: ConcurrencyGate, limit: Int, queueLimit: Int) {
        places = gate.places
        let next = places.state.withLock { state in
            state.limit = limit
            state.queueLimit = queueLimit
            return ConcurrencyGate.admit(&state)
        }
        for ticket in next { ticket.granted() }
    }

    /// How many are in, and how many wait, those of the gates before it included.
    var counts: (running: Int, waiting: Int) { places.state.withLock { ($0.running, $0.waiting.count) } }

    /// Enters, or queues up. Whoever entered, or whose ticket was granted, must ``leave()`` once.
    func enter(granted: () -> @Sendable () -> Void) -> Entry {
        places.state.withLock { state in
            if state.running < state.limit {
                state.running += 1
                own.withLock { $0.running += 1 }
                return .entered
            }
            guard state.waiting.count < state.queueLimit else { return .turnedAway }
            let ticket = Ticket(self, granted())
            state.waiting.append(ticket)
            return .waiting(ticket)
        }
    }

    /// Gives a place in the queue up.
    ///
    /// - Returns: `false` when it was granted already: then `granted` has been or is being called.
    @discardableResult
    func cancel(_ ticket: Ticket) -> Bool {
        places.state.withLock { state in
            guard let index = state.waiting.firstIndex(where: { $0 === ticket }) else { return false }
            state.waiting.remove(at: index)
            return true
        }
    }

    /// Makes room for the next.
    func leave() {
        let (next, told) = places.state.withLock { state -> ([Ticket], [@Sendable () -> Void]) in
            let told = own.withLock { own -> [@Sendable () -> Void] in
                own.running -= 1
                if own.writtenOff > 0 { own.writtenOff -= 1 } else { state.running -= 1 }
                guard own.running == 0 else { return [] }
                defer { own.whenEmpty = [] }
                return own.whenEmpty
            }
            return (ConcurrencyGate.admit(&state), told)
        }
        for ticket in next { ticket.granted() }
        for tell in told { tell() }
    }

    /// Gives the places of those that are in by this gate to others, for a gate whose successor must not wait for ever.
    ///
    /// - Returns: How many those are.
    @discardableResult
    func writeOff() -> Int {
        let (count, next) = places.state.withLock { state -> (Int, [Ticket]) in
            let count = own.withLock { own -> Int in
                let count = own.running - own.writtenOff
                own.writtenOff = own.running
                return count
            }
            state.running -= count
            return (count, ConcurrencyGate.admit(&state))
        }
        for ticket in next { ticket.granted() }
        return count
    }

    /// Calls back once nobody is in by this gate, at once if that is so already.
    func whenEmpty(_ tell: @escaping @Sendable () -> Void) {
        let isEmpty = places.state.withLock { _ in
            own.withLock { own in
                if own.running > 0 { own.whenEmpty.append(tell) }
                return own.running == 0
            }
        }
        if isEmpty { tell() }
    }

    /// Takes those out of the queue for whom there is room.
    private static func admit(_ state: inout Places.State) -> [Ticket] {
        var admitted: [Ticket] = []
        while state.running < state.limit, let ticket = state.waiting.popFirst() {
            state.running += 1
            ticket.gate.own.withLock { $0.running += 1 }
            admitted.append(ticket)
        }
        return admitted
    }
}
