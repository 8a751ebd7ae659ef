/// What follows a commit to the history, and for which an answer waits only a moment: while Redis is away it takes as long
/// as its deadlines, and what it does not bring about the ``Reconciler`` does.
struct FollowUp: Sendable {
    /// Mostly it takes less than a millisecond, and with it callers who ask at once see the job where all others do.
    private static let patience = Duration.seconds(1)

    private let ended: AsyncStream<Never>

    /// Begins it.
    ///
    /// - Parameter body: What is to be done; it ends with the stores' deadlines.
    init(_ body: @escaping @Sendable () async -> Void) {
        let (ended, end) = AsyncStream.makeStream(of: Never.self)
        self.ended = ended
        // Nobody need wait for it, and it goes on when the caller has left.
        Task {
            await body()
            end.finish()
        }
    }

    /// Waits for its end, a second at most.
    ///
    /// - Cancellation: ends the wait.
    func wait() async {
        await withTaskGroup { group in
            group.addTask { for await _ in ended {} }
            group.addTask { try? await Task.sleep(for: Self.patience) }
            await group.next()
            group.cancelAll()
        }
    }
}
