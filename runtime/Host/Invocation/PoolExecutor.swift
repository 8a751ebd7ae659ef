/// One invocation on the pool: every job of its task and of that task's children carries this label, so that the
/// watchdog can tell whose job a thread is stuck in.
final class PoolExecutor: TaskExecutor {
    let function: String
    let requestID: String
    let deadline: ContinuousClock.Instant
    private let pool: HandlerPool

    init(_ pool: HandlerPool, function: String, requestID: String, deadline: ContinuousClock.Instant) {
        self.pool = pool
        self.function = function
        self.requestID = requestID
        self.deadline = deadline
    }

    func enqueue(_ job: consuming ExecutorJob) {
        pool.enqueue(UnownedJob(job), of: self)
    }
}
