public import NIOCore

/// Runs tasks on one event loop: a handler that prefers it never changes threads.
public final class LoopExecutor: TaskExecutor {
    /// The loop.
    public let eventLoop: any EventLoop

    /// Wraps a loop.
    public init(_ eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    /// Runs the job in the loop's next round.
    public func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        eventLoop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
