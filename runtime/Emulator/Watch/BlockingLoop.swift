internal import NIOPosix
internal import Synchronization

/// Runs a loop that waits in system calls on a thread of its own.
public enum BlockingLoop {
    /// How long a wait may be until the loop looks again whether it is to end, in milliseconds.
    public static let waitMs: CInt = 100

    private final class Flag: Sendable {
        let isSet = Atomic(false)
    }

    /// Runs a loop to its end.
    ///
    /// - Parameter body: The loop. It returns soon after the closure that it is given says `true`, which it asks at least
    ///   every ``waitMs``.
    /// - Throws: What the loop throws, or that there is no thread for it.
    /// - Cancellation: has the closure say `true`, and waits for the end.
    public static func run(_ body: @escaping @Sendable (_ isOver: () -> Bool) throws -> Void) async throws {
        let flag = Flag()
        let pool = NIOThreadPool(numberOfThreads: 1)
        pool.start()
        let result: Result<Void, any Error>
        do {
            // Not begun when it is cancelled before.
            try await withTaskCancellationHandler {
                try await pool.runIfActive { try body { flag.isSet.load(ordering: .relaxed) } }
            } onCancel: {
                flag.isSet.store(true, ordering: .relaxed)
            }
            result = .success(())
        } catch {
            result = .failure(error)
        }
        try await pool.shutdownGracefully()
        try result.get()
    }
}
