internal import Synchronization

/// Asks the adapters whether they answer: all at once, each within a deadline, at most once a second.
public final class HealthMonitor: Sendable {
    /// One adapter's check.
    public struct Check: Sendable {
        /// The name in the answer: `storage`, `redis`, `history`.
        public let name: String
        /// Returns when the adapter answers; anything thrown counts as down.
        public let run: @Sendable () async throws -> Void

        /// Makes a check.
        public init(_ name: String, _ run: @escaping @Sendable () async throws -> Void) {
            self.name = name
            self.run = run
        }
    }

    /// What the checks found.
    public struct Report: Sendable {
        /// In the order of the checks; `nil` when the adapter answers, else why not, for the log.
        public let results: [(name: String, failure: String?)]

        /// Whether all answer.
        public var isHealthy: Bool { results.allSatisfy { $0.failure == nil } }
    }

    private struct State {
        var report: Report?
        var isFreshUntil = ContinuousClock.now
        var running: Task<Report, Never>?
    }

    private let checks: [Check]
    private let deadline: Duration
    private let freshFor: Duration
    private let state = Mutex(State())

    /// Makes a monitor.
    ///
    /// - Parameters:
    ///   - checks: One for each configured adapter.
    ///   - deadline: How long each may take.
    ///   - freshFor: How long a report serves again.
    public init(_ checks: [Check], deadline: Duration = .seconds(5), freshFor: Duration = .seconds(1)) {
        self.checks = checks
        self.deadline = deadline
        self.freshFor = freshFor
    }

    /// The state of the adapters, at most as old as the monitor was told.
    public func report() async -> Report {
        let task = state.withLock { state -> Task<Report, Never>? in
            if state.report != nil, state.isFreshUntil > .now { return nil }
            if let running = state.running { return running }
            // Owner: the state, which drops it when it ends; it ends within the deadline of the checks.
            let task = Task { await self.refresh() }
            state.running = task
            return task
        }
        if let task { return await task.value }
        return state.withLock { $0.report } ?? Report(results: [])
    }

    private func refresh() async -> Report {
        let deadline = deadline
        let failures = await withTaskGroup(of: (Int, String?).self) { group in
            for (index, check) in checks.enumerated() {
                group.addTask { (index, await HealthMonitor.failure(of: check, within: deadline)) }
            }
            return await group.reduce(into: [Int: String?]()) { $0[$1.0] = .some($1.1) }
        }
        let report = Report(results: checks.indices.map { (checks[$0].name, failures[$0] ?? nil) })
        state.withLock { state in
            state.report = report
            state.isFreshUntil = .now + freshFor
            state.running = nil
        }
        return report
    }

    /// Why a check fails, if it does. Returns in time also when the check heeds no cancellation.
    private static func failure(of check: Check, within deadline: Duration) async -> String? {
        let outcome = OneShot<String?>()
        // Owner: this call, which cancels it at the deadline.
        let work = Task {
            do {
                try await check.run()
                outcome.set(nil)
            } catch {
                outcome.set("\(error)")
            }
        }
        // Owner: this call, which cancels it when the check has ended.
        let timer = Task {
            try await Task.sleep(for: deadline)
            if outcome.set("no answer within \(deadline)") { work.cancel() }
        }
        let failure = await outcome.value()
        timer.cancel()
        return failure
    }
}
