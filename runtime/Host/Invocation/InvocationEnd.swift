internal import Synchronization

/// How an invocation ends: with its handler, or before it, by a time-out or a cancellation.
///
/// A handler that is given up may go on. Whoever counts places is told so, before the caller has its answer, and is told
/// again when that handler has ended.
final class InvocationEnd<Output: Sendable>: Sendable {
    private enum State {
        case running
        case outlived
        case ended
    }

    /// What the caller waits for.
    let outcome = OneShot<Result<Output, InvocationError>>()
    private let state = Mutex(State.running)
    private let outlived: @Sendable (Bool) -> Void

    init(outlived: @escaping @Sendable (Bool) -> Void) {
        self.outlived = outlived
    }

    /// Whether the handler runs although the caller has its answer.
    var isOutlived: Bool { state.withLock { $0 == .outlived } }

    /// Ends the invocation without its handler.
    ///
    /// - Returns: `false` when it has ended already.
    func giveUp(_ failure: InvocationError) -> Bool {
        let isFirst = state.withLock { state in
            guard state == .running else { return false }
            state = .outlived
            // Within the lock, so that this comes before the handler's end.
            outlived(true)
            return true
        }
        if isFirst { _ = outcome.set(.failure(failure)) }
        return isFirst
    }

    /// The handler has ended.
    ///
    /// - Returns: `false` when it was given up before.
    func handlerEnded(_ result: Result<Output, InvocationError>) -> Bool {
        let isInTime = state.withLock { state in
            defer { state = .ended }
            return state == .running
        }
        if isInTime { return outcome.set(result) }
        outlived(false)
        return false
    }
}
