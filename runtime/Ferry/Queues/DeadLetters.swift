import BullQueue

/// The failed jobs of a queue whose reason holds a text.
struct DeadLetters {
    private static let pageCount = 500

    let control: BullQueueControl
    /// `nil` for all.
    let reason: String?

    /// How many there are.
    func count() async throws -> Int {
        guard reason != nil else { return try await control.counts()[.failed] }
        return try await find(limit: .max).count
    }

    /// The ids of all, oldest first, so that they are retried in the order in which they failed.
    func ids() async throws -> [String] {
        guard reason != nil else { return try await control.allIDs(in: .failed) }
        return try await find(limit: .max).reversed().map(\.id)
    }

    /// The newest, newest first.
    func find(limit: Int) async throws -> [BullStoredJob] {
        let pages = try await control.counts()[.failed] / DeadLetters.pageCount
        var found: [BullStoredJob] = []
        for page in 0...pages where found.count < limit {
            let jobs = try await control.jobs(
                in: .failed, offset: page * DeadLetters.pageCount, count: DeadLetters.pageCount, newestFirst: true)
            found += jobs.filter(matches)
        }
        return Array(found.prefix(limit))
    }

    private func matches(_ job: BullStoredJob) -> Bool {
        guard let reason else { return true }
        return (job.failedReason ?? "").lowercased().contains(reason.lowercased())
    }
}
