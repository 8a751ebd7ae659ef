internal import FunctionKit

/// Many callers' new jobs, in one statement and so in one commit.
///
/// A job whose id exists is passed over (`ON CONFLICT DO NOTHING RETURNING`) and harms no other. Jobs with a key need a
/// transaction: the jobs are inserted, then their keys, on which a concurrent transaction with the same key waits; those
/// that lost are removed again and answered with the key that won. A value that its column cannot take fails the whole
/// statement; then each job has one of its own.
struct PostgreSQLInsertion: PostgreSQLWork {
    /// What one caller wants.
    struct Content: Sendable {
        let job: HistoryJob
        var key: HistoryKey?
    }

    /// One caller.
    struct Row: Sendable {
        let content: Content
        let pending: PendingCall<HistoryKey?>
    }

    /// Whose key it is.
    private struct KeyID: Hashable, Comparable {
        let owner: String
        let text: String

        static func < (a: KeyID, b: KeyID) -> Bool { (a.owner, a.text) < (b.owner, b.text) }
    }

    private let rows: [Row]

    init(_ rows: [Row]) { self.rows = rows }

    var deadline: ContinuousClock.Instant { rows.map(\.pending.deadline).max() ?? .now }
    var isFinished: Bool { rows.allSatisfy(\.pending.isFinished) }

    func fail(_ error: any Error) { for row in rows { row.pending.fail(error) } }

    func perform(on connection: PostgreSQLConnection, isRepeat: Bool) throws {
        let waiting = rows.filter { !$0.pending.isFinished }
        try split(waiting.filter { $0.content.key == nil }) { try insert($0, on: connection, isRepeat: isRepeat) }
        try split(waiting.filter { $0.content.key != nil }) { try insertKeyed($0, on: connection) }
    }

    /// All at once; when a value of one is refused, one by one.
    private func split(_ rows: [Row], _ body: ([Row]) throws -> Void) throws {
        guard !rows.isEmpty else { return }
        do {
            try body(rows)
        } catch let failure as PostgreSQLFailure where failure.isAboutValues {
            guard rows.count > 1 else { return rows[0].pending.fail(failure.error) }
            for row in rows { try split([row], body) }
        } catch let error as HistoryError {
            guard rows.count > 1 else { return rows[0].pending.fail(error) }
            for row in rows { try split([row], body) }
        }
    }

    // MARK: Jobs without a key

    private func insert(_ rows: [Row], on connection: PostgreSQLConnection, isRepeat: Bool) throws {
        let inserted = try Self.insert(rows.map(\.content.job), on: connection)
        for row in rows {
            if inserted.contains(row.content.job.id) {
                row.pending.finish(.success(nil))
            } else if isRepeat, try Self.isThere(row.content.job, on: connection) {
                // The attempt before was committed.
                row.pending.finish(.success(nil))
            } else {
                row.pending.fail(Self.duplicate)
            }
        }
    }

    private static let duplicate = HistoryError(.duplicate, "a job of that id exists")

    /// Whether the row is what this insert made, however the job went on since.
    private static func isThere(_ job: HistoryJob, on connection: PostgreSQLConnection) throws -> Bool {
        let found = try connection.execute(.find, [job.id]).map { try HistoryJob(row: &$0) }.first
        return found?.createdAt == job.createdAt && found?.owner == job.owner && found?.fileIDs == job.fileIDs
            && found?.options == job.options
    }

    /// - Returns: The ids of those that were inserted; the others exist.
    private static func insert(_ jobs: [HistoryJob], on connection: PostgreSQLConnection) throws -> Set<String> {
        let rows = try connection.execute(
            .insert,
            [
                PostgreSQLArray.text(jobs.map(\.id)),
                PostgreSQLArray.text(jobs.map(\.owner)),
                PostgreSQLArray.text(jobs.map { Int64($0.round) }),
                PostgreSQLArray.text(jobs.map(\.status)),
                PostgreSQLArray.text(jobs.map { PostgreSQLArray.text($0.fileIDs) }),
                PostgreSQLArray.text(jobs.map(\.options)),
                PostgreSQLArray.text(jobs.map(\.archive?.key)),
                PostgreSQLArray.text(jobs.map(\.archive?.sizeBytes)),
                PostgreSQLArray.text(jobs.map { $0.archive.map { Int64($0.crc32) } }),
                PostgreSQLArray.text(jobs.map(\.error)),
                PostgreSQLArray.text(jobs.map(\.createdAt.milliseconds)),
                PostgreSQLArray.text(jobs.map(\.updatedAt.milliseconds)),
                PostgreSQLArray.text(jobs.map(\.expiresAt?.milliseconds)),
                PostgreSQLArray.text(jobs.map { Int64($0.raises) }),
                PostgreSQLArray.text(jobs.map(\.callback?.state.rawValue)),
                PostgreSQLArray.text(jobs.map { Int64($0.callback?.round ?? 0) }),
                PostgreSQLArray.text(jobs.map { $0.callback?.about ?? "" }),
                PostgreSQLArray.text(jobs.map { Int64($0.callback?.attempts ?? 0) }),
                PostgreSQLArray.text(jobs.map { $0.callback?.answer.map(Int64.init) }),
                PostgreSQLArray.text(jobs.map(\.callback?.error)),
                PostgreSQLArray.text(jobs.map(\.callback?.deliveredAt?.milliseconds)),
                PostgreSQLArray.text(jobs.map(\.callback?.nextAt?.milliseconds)),
            ])
        return Set(try rows.map { try $0.required(String.self) })
    }

    // MARK: Jobs with a key

    private typealias Keyed = (id: KeyID, key: HistoryKey, row: Row)

    private func insertKeyed(_ rows: [Row], on connection: PostgreSQLConnection) throws {
        // Always in the same order, so that two transactions do not wait for each other's keys.
        var open = rows.compactMap { row -> Keyed? in
            guard let key = row.content.key else { return nil }
            return (KeyID(owner: row.content.job.owner ?? "", text: key.text), key, row)
        }.sorted { $0.id < $1.id }
        var answers: [(row: Row, answer: Result<HistoryKey?, any Error>)] = []
        try connection.transaction {
            // What is left after a turn waits for a key that went away in between.
            while !open.isEmpty {
                try answerKnown(&open, &answers, on: connection)
                try insertFirst(&open, &answers, on: connection)
            }
        }
        for (row, answer) in answers { row.pending.finish(answer) }
    }

    /// Answers those whose key stands for a job already.
    private func answerKnown(
        _ open: inout [Keyed], _ answers: inout [(row: Row, answer: Result<HistoryKey?, any Error>)],
        on connection: PostgreSQLConnection
    ) throws {
        let rows = try connection.execute(
            .findKeys,
            [PostgreSQLArray.text(open.map(\.id.owner)), PostgreSQLArray.text(open.map(\.id.text))])
        var known: [KeyID: HistoryKey] = [:]
        for (id, key) in try rows.map({ row in
            let id = KeyID(owner: try row.required(), text: try row.required())
            return (
                id,
                HistoryKey(
                    text: id.text, jobID: try row.required(), digest: try row.required(),
                    expiresAt: try row.requiredTime())
            )
        }) { known[id] = key }
        open.removeAll { item in
            guard let key = known[item.id], key.expiresAt > item.row.content.job.createdAt else { return false }
            answers.append((item.row, .success(key)))
            return true
        }
    }

    /// Inserts the first job of each key. Those that lose to a transaction that came first stay open, as do the others
    /// of a key.
    private func insertFirst(
        _ open: inout [Keyed], _ answers: inout [(row: Row, answer: Result<HistoryKey?, any Error>)],
        on connection: PostgreSQLConnection
    ) throws {
        var first: [Keyed] = []
        for item in open where first.last?.id != item.id { first.append(item) }
        guard !first.isEmpty else { return }
        let inserted = try Self.insert(first.map(\.row.content.job), on: connection)
        let made = first.filter { inserted.contains($0.row.content.job.id) }
        for item in first where !inserted.contains(item.row.content.job.id) {
            answers.append((item.row, .failure(Self.duplicate)))
        }
        let winners = try connection.execute(
            .insertKeys,
            [
                PostgreSQLArray.text(made.map(\.id.owner)), PostgreSQLArray.text(made.map(\.id.text)),
                PostgreSQLArray.text(made.map(\.key.jobID)), PostgreSQLArray.text(made.map(\.key.digest)),
                PostgreSQLArray.text(made.map(\.row.content.job.createdAt.milliseconds)),
                PostgreSQLArray.text(made.map(\.key.expiresAt.milliseconds)),
            ])
        let won = Set(try winners.map { try $0.required(String.self) })
        let lost = made.filter { !won.contains($0.row.content.job.id) }
        if !lost.isEmpty {
            try connection.execute(.removeJobs, [PostgreSQLArray.text(lost.map(\.row.content.job.id))])
        }
        for item in made where won.contains(item.row.content.job.id) {
            answers.append((item.row, .success(item.key)))
        }
        let closed = won.union(first.lazy.map(\.row.content.job.id).filter { !inserted.contains($0) })
        open.removeAll { closed.contains($0.row.content.job.id) }
    }
}
