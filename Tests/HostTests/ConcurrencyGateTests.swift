import Synchronization
import Testing

@testable import Host

/// Gates that succeed each other.
struct ConcurrencyGateTests {
    private func enter(_ gate: ConcurrencyGate, _ granted: @escaping @Sendable () -> Void = {}) -> String {
        switch gate.enter(granted: { granted }) {
        case .entered: "entered"
        case .waiting: "waiting"
        case .turnedAway: "turned away"
        }
    }

    @Test func `a successor shares places and queue within its own limits`() {
        let order = Mutex<[String]>([])
        let old = ConcurrencyGate(limit: 1, queueLimit: 1)
        #expect(enter(old) == "entered")
        #expect(enter(old) { order.withLock { $0.append("old") } } == "waiting")
        let new = ConcurrencyGate(after: old, limit: 1, queueLimit: 2)
        #expect(enter(new) { order.withLock { $0.append("new") } } == "waiting")
        #expect(enter(new) == "turned away")
        #expect(new.counts == (1, 2))
        old.leave()
        #expect(order.withLock { $0 } == ["old"])
        old.leave()
        #expect(order.withLock { $0 } == ["old", "new"])
        new.leave()
        #expect(new.counts == (0, 0))
    }

    @Test func `a higher limit lets those in who wait, a lower one takes nobody's place`() {
        let granted = Atomic(0)
        let first = ConcurrencyGate(limit: 1, queueLimit: 9)
        #expect(enter(first) == "entered")
        for _ in 0..<3 { _ = enter(first) { granted.add(1, ordering: .relaxed) } }
        let second = ConcurrencyGate(after: first, limit: 3, queueLimit: 9)
        #expect(granted.load(ordering: .relaxed) == 2)
        let third = ConcurrencyGate(after: second, limit: 1, queueLimit: 9)
        first.leave()
        first.leave()
        #expect(granted.load(ordering: .relaxed) == 2)
        first.leave()
        #expect(granted.load(ordering: .relaxed) == 3)
        #expect(third.counts == (1, 0))
    }

    @Test func `places that are written off are free once, and their end frees nothing more`() {
        let isEmpty = Atomic(false)
        let old = ConcurrencyGate(limit: 1, queueLimit: 1)
        #expect(enter(old) == "entered")
        let new = ConcurrencyGate(after: old, limit: 1, queueLimit: 1)
        #expect(old.writeOff() == 1)
        #expect(old.writeOff() == 0)
        #expect(enter(new) == "entered")
        #expect(enter(new) == "waiting")
        old.whenEmpty { isEmpty.store(true, ordering: .relaxed) }
        old.leave()
        #expect(isEmpty.load(ordering: .relaxed))
        #expect(new.counts == (1, 1))
    }
}
