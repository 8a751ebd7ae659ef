/// What one thread does with one connection: a call, or many that share a statement.
protocol PostgreSQLWork: Sendable {
    /// When nobody waits for it any more.
    var deadline: ContinuousClock.Instant { get }
    /// Whether nobody waits for it any more, so that it need not be done.
    var isFinished: Bool { get }
    /// Does the work and gives its callers their answers.
    ///
    /// - Parameters:
    ///   - connection: Of this work alone until it returns.
    ///   - isRepeat: Whether an attempt before this one may have been committed, its answer being lost.
    /// - Throws: What kept it from being done; the callers that have no answer yet still wait.
    func perform(on connection: PostgreSQLConnection, isRepeat: Bool) throws
    /// Gives the callers that have no answer yet an error.
    func fail(_ error: any Error)
}

/// One caller's work.
final class PostgreSQLCall<Value: Sendable>: PostgreSQLWork {
    typealias Body = @Sendable (_ connection: PostgreSQLConnection, _ isRepeat: Bool) throws -> Value

    let pending: PendingCall<Value>
    private let body: Body

    init(deadline: ContinuousClock.Instant, body: @escaping Body) {
        pending = PendingCall(deadline: deadline)
        self.body = body
    }

    var deadline: ContinuousClock.Instant { pending.deadline }
    var isFinished: Bool { pending.isFinished }

    func perform(on connection: PostgreSQLConnection, isRepeat: Bool) throws {
        pending.finish(.success(try body(connection, isRepeat)))
    }

    func fail(_ error: any Error) { pending.fail(error) }
}
