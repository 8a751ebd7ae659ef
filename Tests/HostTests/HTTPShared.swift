import Synchronization

/// A value that several tasks of a test change.
final class Shared<Value: Sendable>: Sendable {
    private let stored: Mutex<Value>

    init(_ value: Value) { stored = Mutex(value) }

    var value: Value { stored.withLock { $0 } }

    func update(_ body: @Sendable (inout Value) -> Void) {
        stored.withLock { value in
            var copy = value
            body(&copy)
            value = copy
        }
    }
}

/// Names that no other test has.
enum RandomNumbers {
    static func name() -> String { String(UInt64.random(in: 0...UInt64.max), radix: 36) }
}
