/// What the watchers have seen. Used on their loop alone.
final class Tally {
    /// Watchers that have their first message.
    private(set) var readyCount = 0
    /// Watchers whose connection is gone.
    private(set) var lostCount = 0
    /// Messages of progress that have come.
    private(set) var deliveryCount = 0
    /// Numbers that a watcher did not see, as a later one came in their stead.
    private(set) var skippedCount = 0
    /// From publish to receipt, in microseconds.
    private(set) var latencies: [Int32] = []
    /// The last number that each watcher saw.
    private(set) var lastSeqs: [Int64]
    var problem: String?

    init(watcherCount: Int, expectedCount: Int) {
        lastSeqs = Array(repeating: 0, count: watcherCount)
        latencies.reserveCapacity(expectedCount)
    }

    func isReady() { readyCount += 1 }

    func lost(_ watcher: Int, _ reason: String) {
        lostCount += 1
        if problem == nil { problem = "watcher \(watcher): \(reason)" }
    }

    func received(_ watcher: Int, seq: Int64, latency: Int64) {
        let last = lastSeqs[watcher]
        if seq <= last, problem == nil { problem = "watcher \(watcher) got \(seq) after \(last)" }
        if last > 0, seq > last + 1 { skippedCount += Int(seq - last - 1) }
        lastSeqs[watcher] = seq
        deliveryCount += 1
        latencies.append(Int32(clamping: latency))
    }

    /// The figures as JSON.
    ///
    /// - Parameters:
    ///   - publishCount: Messages published.
    ///   - seconds: How long that took.
    ///   - behindCount: Watchers that have not seen their job's last message.
    /// - Returns: One line.
    func json(publishCount: Int, seconds: Double, behindCount: Int) -> String {
        let sorted = latencies.sorted()
        func milliseconds(_ share: Double) -> Double {
            guard !sorted.isEmpty else { return 0 }
            return Double(sorted[min(sorted.count - 1, Int(share * Double(sorted.count)))]) / 1000
        }
        let problem = problem.map { "\"\($0.filter { $0 != "\"" && $0 != "\\" && !$0.isNewline })\"" } ?? "null"
        return """
            {"deliveries": \(deliveryCount), "skipped": \(skippedCount), "lost": \(lostCount), \
            "behind": \(behindCount), "publishes": \(publishCount), "seconds": \(seconds), \
            "p50": \(milliseconds(0.5)), "p90": \(milliseconds(0.9)), "p99": \(milliseconds(0.99)), \
            "p999": \(milliseconds(0.999)), "max": \(milliseconds(1)), "problem": \(problem)}
            """
    }
}
