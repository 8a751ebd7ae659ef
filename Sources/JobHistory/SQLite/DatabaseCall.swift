internal import GRDB
internal import Synchronization

/// A call on its way to the database, with its result's type erased.
protocol AnyDatabaseCall: Sendable {
    /// Whether the caller has its answer already, so that the work need not be done.
    var isFinished: Bool { get }
    /// When the caller is told that it took too long.
    var deadline: ContinuousClock.Instant { get }
    /// Does the work in a savepoint of the transaction under way and keeps the outcome; undone when it throws.
    func perform(in db: Database)
    /// Gives the caller the outcome that was kept.
    func deliver()
    /// Gives the caller an error instead. Without effect when it has an answer.
    func fail(_ error: any Error)
}

/// One caller's work and the continuation on which it waits.
///
/// The continuation is resumed once: whoever brings the answer first takes it out under the mutex.
final class DatabaseCall<Value: Sendable>: AnyDatabaseCall {
    private struct State {
        var continuation: CheckedContinuation<Value, any Error>?
        /// What the work gave, until the transaction is over.
        var outcome: Result<Value, any Error>?
        /// The answer, when it came before the caller began to wait.
        var answer: Result<Value, any Error>?
        var isFinished = false
    }

    let deadline: ContinuousClock.Instant
    private let state = Mutex(State())
    private let work: @Sendable (Database) throws -> Value

    init(deadline: ContinuousClock.Instant, work: @escaping @Sendable (Database) throws -> Value) {
        self.deadline = deadline
        self.work = work
    }

    var isFinished: Bool { state.withLock { $0.isFinished } }

    func perform(in db: Database) {
        var outcome: Result<Value, any Error>?
        do {
            try db.inSavepoint {
                outcome = .success(try work(db))
                return .commit
            }
        } catch {
            outcome = .failure(error)
        }
        state.withLock { $0.outcome = outcome }
    }

    func deliver() {
        let outcome = state.withLock { $0.outcome }
        finish(outcome ?? .failure(HistoryError(.failed, "the call was not performed")))
    }

    func fail(_ error: any Error) { finish(.failure(error)) }

    /// Waits for the answer.
    ///
    /// - Throws: What the work threw, or what the call was failed with.
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

    private func finish(_ answer: Result<Value, any Error>) {
        let continuation = state.withLock { state -> CheckedContinuation<Value, any Error>? in
            guard !state.isFinished else { return nil }
            state.isFinished = true
            state.outcome = nil
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
