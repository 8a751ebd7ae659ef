internal import Synchronization

/// A value that is set once, by whoever comes first, and awaited by at most one task.
final class OneShot<Value: Sendable>: Sendable {
    private enum State {
        case empty
        case awaited(CheckedContinuation<Value, Never>)
        case set(Value)
        case delivered
    }

    private let state = Mutex(State.empty)

    /// Whether it is set.
    var isSet: Bool {
        state.withLock { state in
            switch state {
            case .empty, .awaited: false
            case .set, .delivered: true
            }
        }
    }

    /// Sets the value, unless that has happened before.
    ///
    /// - Returns: Whether this call set it.
    @discardableResult
    func set(_ value: Value) -> Bool {
        let (isFirst, waiter) = state.withLock { state -> (Bool, CheckedContinuation<Value, Never>?) in
            switch state {
            case .empty:
                state = .set(value)
                return (true, nil)
            case .awaited(let continuation):
                state = .delivered
                return (true, continuation)
            case .set, .delivered:
                return (false, nil)
            }
        }
        waiter?.resume(returning: value)
        return isFirst
    }

    /// Waits for the value. Does not end by cancellation: whoever cancels sets a value that says so.
    func value() async -> Value {
        await withCheckedContinuation { continuation in
            let value = state.withLock { state -> Value? in
                switch state {
                case .empty:
                    state = .awaited(continuation)
                    return nil
                case .set(let value):
                    state = .delivered
                    return value
                case .awaited, .delivered:
                    preconditionFailure("A one-shot value has one waiter.")
                }
            }
            if let value { continuation.resume(returning: value) }
        }
    }
}
