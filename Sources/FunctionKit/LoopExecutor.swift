/// Runs tasks on one event loop: a handler that prefers it never changes threads.
package final class LoopExecutor: TaskExecutor {
    /// The loop.
    package let eventLoop: any EventLoop

    /// Wraps a loop.
    package init(_ eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    /// Runs the job in the loop's next round.
    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        eventLoop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
