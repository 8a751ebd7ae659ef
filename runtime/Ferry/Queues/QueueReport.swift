import ArgumentParser
import BullQueue

/// Says what became of jobs that a command was to change.
enum QueueReport {
    /// Prints what was not done, and how many were.
    ///
    /// - Parameters:
    ///   - changes: What became of each job.
    ///   - done: The word for it, such as `retried`.
    ///   - expected: Where the jobs had to be, such as `delayed`.
    /// - Throws: Exit status 1 when some were not done.
    static func changes(_ changes: [BullJobChange], done: String, expected: String) throws {
        for change in changes {
            let reason: String? =
                switch change.result {
                case .done: nil
                case .missing: "there is no such job"
                case .wrongState: "it is not \(expected)"
                case .held: "a worker holds it"
                case .planned: "its scheduler has planned it as the next"
                }
            if let reason { Terminal.errors.line("ferry: \(Terminal.plain(change.id)): \(reason)") }
        }
        let count = changes.count { $0.result == .done }
        Terminal.output.line("\(jobs(count)) \(done)")
        if count < changes.count { throw ExitCode.failure }
    }

    /// A number of jobs in words.
    static func jobs(_ count: Int) -> String { "\(count) \(count == 1 ? "job" : "jobs")" }

    /// Prints what makes it unsafe to work a queue together with clients of another generation.
    static func hazards(_ counts: BullQueueCounts, of queue: String) {
        for hazard in counts.hazards {
            Terminal.errors.line("warning: \(Terminal.plain(queue)): \(Terminal.plain(hazard))")
        }
    }
}
