internal import Synchronization

/// A call whose caller waits, with its result's type erased.
protocol AnyPendingCall: Sendable {
    /// When the caller is told that it took too long.
    var deadline: ContinuousClock.Instant { get }
    /// Whether the caller has its answer already, so that the work need not be done.
    var isFinished: Bool { get }
    /// Gives the caller an error. Without effect when it has an answer.
    func fail(_ error: any Error)
}

/// The continuation on which one caller waits.
///
/// It is resumed once: whoever brings the answer first takes it out under the mutex.
final class PendingCall<Value: Sendable>: AnyPendingCall {
    private struct State {
        var continuation: CheckedContinuation<Value, any Error>?
        /// The answer, when it came before the caller began to wait.
        var answer: Result<Value, any Error>?
        var isFinished = false
    }

    let deadline: ContinuousClock.Instant
    private let state = Mutex(State())

    init(deadline: ContinuousClock.Instant) { self.deadline = deadline }

    var isFinished: Bool { state.withLock { $0.isFinished } }

    func fail(_ error: any Error) { finish(.failure(error)) }

    /// Waits for the answer.
    ///
    /// - Throws: What the call was failed with.
    /// - Cancellation: ends the wait with `CancellationError`; work that has begun may still be committed.
    func value() async throws -> Value {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let answer = state.withLock { state -> Result<Value, any Error>? in
                    if state.isFinished { return state.answer }
                    state.continuation = continuation
                    return nil
                }
                if let answer { continuation.resume(with: answer) }
            }
        } onCancel: {
            fail(CancellationError())
        }
    }

    /// Gives the caller its answer. Without effect when it has one.
    func finish(_ answer: Result<Value, any Error>) {
        let continuation = state.withLock { state -> CheckedContinuation<Value, any Error>? in
            guard !state.isFinished else { return nil }
            state.isFinished = true
            guard let continuation = state.continuation else {
                state.answer = answer
                return nil
            }
            state.continuation = nil
            return continuation
        }
        continuation?.resume(with: answer)
    }
}
