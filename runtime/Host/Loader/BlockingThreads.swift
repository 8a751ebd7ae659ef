internal import NIOPosix

/// Threads for work that blocks: reading files, waiting for the compiler, opening modules.
///
/// They live as long as one ``with(_:_:)``, so that a long compilation never takes a thread from anything else.
struct BlockingThreads: Sendable {
    private let pool: NIOThreadPool

    /// Runs a closure with threads of its own and ends them afterwards.
    static func with<Output: Sendable>(
        _ count: Int, _ body: (BlockingThreads) async throws -> Output
    ) async throws -> Output {
        let pool = NIOThreadPool(numberOfThreads: max(1, count))
        pool.start()
        let result: Result<Output, any Error>
        do {
            result = .success(try await body(BlockingThreads(pool: pool)))
        } catch {
            result = .failure(error)
        }
        try await pool.shutdownGracefully()
        return try result.get()
    }

    /// Runs blocking work on one of the threads.
    ///
    /// - Cancellation: work that has begun is told by its ``Cancellation`` and waited for; other work is not begun.
    func run<Output: Sendable>(
        _ work: @escaping @Sendable (Cancellation) throws -> Output
    ) async throws -> Output {
        let cancellation = Cancellation()
        return try await withTaskCancellationHandler {
            try await pool.runIfActive { try work(cancellation) }
        } onCancel: {
            cancellation.cancel()
        }
    }

    /// Runs blocking work for each item, as many at once as there are threads; results in the order of the items.
    func map<Item: Sendable, Output: Sendable>(
        _ items: [Item], _ work: @escaping @Sendable (Item, Cancellation) throws -> Output
    ) async -> [Result<Output, any Error>] {
        await withTaskGroup(of: (Int, Result<Output, any Error>).self) { group in
            for (index, item) in items.enumerated() {
                group.addTask {
                    do {
                        return (index, .success(try await run { try work(item, $0) }))
                    } catch {
                        return (index, .failure(error))
                    }
                }
            }
            var results: [(Int, Result<Output, any Error>)] = []
            for await result in group { results.append(result) }
            return results.sorted { $0.0 < $1.0 }.map(\.1)
        }
    }
}
