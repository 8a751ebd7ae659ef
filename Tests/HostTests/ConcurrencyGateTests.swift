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
        let granted = Mutex(0)
        let first = ConcurrencyGate(limit: 1, queueLimit: 9)
        #expect(enter(first) == "entered")
        for _ in 0..<3 { _ = enter(first) { granted.withLock { $0 += 1 } } }
        let second = ConcurrencyGate(after: first, limit: 3, queueLimit: 9)
        #expect(granted.withLock { $0 } == 2)
        let third = ConcurrencyGate(after: second, limit: 1, queueLimit: 9)
        first.leave()
        first.leave()
        #expect(granted.withLock { $0 } == 2)
        first.leave()
        #expect(granted.withLock { $0 } == 3)
        #expect(third.counts == (1, 0))
    }

    @Test func `places that are written off are free once, and their end frees nothing more`() {
        let isEmpty = Mutex(false)
        let old = ConcurrencyGate(limit: 1, queueLimit: 1)
        #expect(enter(old) == "entered")
        let new = ConcurrencyGate(after: old, limit: 1, queueLimit: 1)
        #expect(old.writeOff() == 1)
        #expect(old.writeOff() == 0)
        #expect(enter(new) == "entered")
        #expect(enter(new) == "waiting")
        old.whenEmpty { isEmpty.withLock { $0 = true } }
        old.leave()
        #expect(isEmpty.withLock { $0 })
        #expect(new.counts == (1, 1))
    }
}
