internal import GRDB
internal import Synchronization

/// A call on its way to the database, with its result's type erased.
protocol AnyDatabaseCall: Sendable {
    /// Whether the caller has its answer already, so that the work need not be done.
    var isFinished: Bool { get }
    /// Does the work in a savepoint of the transaction under way and keeps the outcome; undone when it throws.
    func perform(in db: Database)
    /// Gives the caller the outcome that was kept.
    func deliver()
    /// Gives the caller an error instead. Without effect when it has an answer.
    func fail(_ error: any Error)
}

/// One caller's work.
final class DatabaseCall<Value: Sendable>: AnyDatabaseCall {
    let pending: PendingCall<Value>
    private let work: @Sendable (Database) throws -> Value
    /// What the work gave, until the transaction is over.
    private let outcome = Mutex<Result<Value, any Error>?>(nil)

    init(deadline: ContinuousClock.Instant, work: @escaping @Sendable (Database) throws -> Value) {
        pending = PendingCall(deadline: deadline)
        self.work = work
    }

    var isFinished: Bool { pending.isFinished }

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
        self.outcome.withLock { $0 = outcome }
    }

    func deliver() {
        let outcome = outcome.withLock { outcome in
            defer { outcome = nil }
            return outcome
        }
        pending.finish(outcome ?? .failure(HistoryError(.failed, "the call was not performed")))
    }

    func fail(_ error: any Error) { pending.fail(error) }
}
