public import FunctionKit

/// Clears away what time has ended and what workers that died have left behind.
///
/// 1. Archives past their time are deleted; their jobs expire in history and record, and watchers are told.
/// 2. Jobs past their retention are forgotten, with their archives.
/// 3. Idempotency keys past their time are forgotten.
/// 4. Multipart uploads that no live record names are given up.
/// 5. Archives that no job names are deleted.
///
/// The last two look only at what is older than a grace time and has a key that a worker makes. Each step is a
/// compare-and-set or idempotent, so a sweep may stop anywhere, run again, and run beside workers and other sweeps. It
/// goes through everything in batches; where its time ends within the object store's listings, a cursor in Redis tells
/// the next sweep where to go on. What fails is logged and left to the next sweep, and does not stop the rest.
public struct Sweeper: Sendable {
    /// How many jobs or objects are dealt with at the same time.
    private static let concurrency = 8
    /// Of so many that fail a pass tries no more.
    static let failureLimit = 1_000
    /// How many jobs the history lists at a time.
    static let batchCount = 200

    let context: Context
    let settings: DownloadsConfiguration
    let stores: JobStores
    let objects: any ObjectStore
    /// No new work is begun later. What is left until the deadline is for what is under way then.
    private let end: ContinuousClock.Instant

    /// Makes a sweeper.
    ///
    /// - Parameter context: What the host lends; its deadline bounds the sweep.
    /// - Throws: ``FunctionKit/HTTPError`` 503 when a store is not configured.
    public init(_ context: Context) throws {
        self.context = context
        settings = context.downloads
        stores = try JobStores(context)
        objects = try context.bindings.objects
        end = context.deadline - context.remaining / 4
    }

    /// Sweeps.
    ///
    /// - Parameter now: The time for which it is decided what is over.
    /// - Returns: What was done.
    /// - Throws: A store's error when a whole pass could not be made; the other passes were. `CancellationError`.
    /// - Cancellation: ends the sweep after what is under way.
    public func sweep(at now: Timestamp = .now) async throws -> SweepReport {
        var report = SweepReport()
        var failure: (any Error)?
        let passes = [expireJobs, forgetJobs, forgetKeys, abortUploads, deleteArchives]
        for pass in passes {
            do {
                try await pass(now, &report)
            } catch {
                try Task.checkCancellation()
                context.logger.error("a pass of the sweep failed", metadata: ["error": "\(error)"])
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
        return report
    }

    /// Whether no new work is to be begun.
    var isLate: Bool { ContinuousClock.now >= end || Task.isCancelled }

    /// What came of one job or object.
    enum Outcome: Sendable {
        case done
        /// It is to stay, or somebody else was faster.
        case left
        case failed
        /// There was no time for it.
        case postponed
    }

    /// Deals with items, several at a time.
    ///
    /// - Parameters:
    ///   - items: The items.
    ///   - name: What an item is called in the log.
    ///   - body: Returns whether something was done.
    /// - Returns: What came of each, in their order.
    func each<Item: Sendable>(
        _ items: [Item], name: @Sendable (Item) -> String,
        _ body: @escaping @Sendable (Item) async throws -> Bool
    ) async -> [Outcome] {
        await withTaskGroup(of: (Int, Outcome).self) { group in
            var outcomes = [Outcome](repeating: .postponed, count: items.count)
            for (index, item) in items.enumerated() {
                if index >= Self.concurrency, let (place, outcome) = await group.next() { outcomes[place] = outcome }
                if isLate { break }
                let (logger, name) = (context.logger, name(item))
                group.addTask {
                    do {
                        return (index, try await body(item) ? .done : .left)
                    } catch {
                        logger.warning(
                            "the sweep could not deal with something",
                            metadata: ["what": "\(name)", "error": "\(error)"])
                        return (index, .failed)
                    }
                }
            }
            for await (place, outcome) in group { outcomes[place] = outcome }
            return outcomes
        }
    }
}

extension [Sweeper.Outcome] {
    func count(_ outcome: Sweeper.Outcome) -> Int { count { $0 == outcome } }
}
