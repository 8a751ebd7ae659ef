internal import Dispatch
internal import GRDB
internal import Synchronization

/// Takes calls to one database file: bounded, each with a deadline, writes in shared transactions.
///
/// How it works. GRDB runs the writer on a serial dispatch queue of its own and each reader on another, so nothing here
/// blocks an event loop or Swift's pool of threads. Writes are collected in a list; the first one sets a drain going on
/// the writer's queue, which takes everything that has come so far, runs it in one immediate transaction with a
/// savepoint for each call, commits, and looks again. While one commit waits for the disk, the next batch gathers: with
/// one caller each call has a transaction of its own, with many they share one sync. A call that fails is rolled back
/// to its savepoint alone; when the transaction itself is lost, every call of the batch gets that error.
///
/// `OutstandingCalls` bounds the calls and watches their deadlines. SQLite cannot be interrupted between the two halves
/// of a sync, so a call that is told `timeout` may still be committed.
final class DatabaseCalls: Sendable {
    private struct State {
        var writes: [any AnyDatabaseCall] = []
        var isDraining = false
    }

    /// More calls than this in one transaction would make the first of them wait for the last.
    private static let batchLimit = 512

    let pool: DatabasePool
    private let outstanding: OutstandingCalls
    private let state = Mutex(State())

    init(pool: DatabasePool, limit: Int, timeout: Duration) {
        self.pool = pool
        outstanding = OutstandingCalls(limit: limit, timeout: timeout)
    }

    /// How many calls are under way.
    var outstandingCount: Int { outstanding.count }

    /// Runs work in a transaction that other callers may share.
    func write<Value: Sendable>(_ work: @escaping @Sendable (Database) throws -> Value) async throws -> Value {
        let call = DatabaseCall(deadline: .now + outstanding.timeout, work: work)
        return try await outstanding.run(call.pending) {
            let begins = state.withLock { state -> Bool in
                state.writes.append(call)
                defer { state.isDraining = true }
                return !state.isDraining
            }
            if begins { pool.asyncWriteWithoutTransaction { db in self.drain(db) } }
        }
    }

    /// Runs work on a reader, which sees the last commit.
    func read<Value: Sendable>(_ work: @escaping @Sendable (Database) throws -> Value) async throws -> Value {
        let call = DatabaseCall(deadline: .now + outstanding.timeout, work: work)
        return try await outstanding.run(call.pending) {
            pool.asyncRead { database in
                guard !call.isFinished else { return }
                do {
                    call.perform(in: try database.get())
                    call.deliver()
                } catch {
                    call.fail(HistoryError(database: error))
                }
            }
        }
    }

    /// Takes no more calls, lets those under way end, and closes the file. A second call does nothing.
    func close() async {
        guard outstanding.close() else { return }
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            // Behind the drain that may be under way and all readers; closing blocks, so not on the writer's own queue.
            pool.asyncBarrierWriteWithoutTransaction { _ in
                self.outstanding.clock.async {
                    // A connection that is still in use closes when it is given back; there is nobody to tell.
                    try? self.pool.close()
                    continuation.resume()
                }
            }
        }
    }

    // MARK: Writing

    private func drain(_ db: Database) {
        while true {
            let batch = state.withLock { state -> [any AnyDatabaseCall] in
                let batch = Array(state.writes.prefix(Self.batchLimit))
                state.writes.removeFirst(batch.count)
                if batch.isEmpty { state.isDraining = false }
                return batch
            }
            if batch.isEmpty { return }
            commit(batch.filter { !$0.isFinished }, db)
        }
    }

    private func commit(_ batch: [any AnyDatabaseCall], _ db: Database) {
        guard !batch.isEmpty else { return }
        do {
            try db.inTransaction(.immediate) {
                for call in batch {
                    call.perform(in: db)
                    guard db.isInsideTransaction else {
                        // A full disk or a failing one made SQLite roll all of it back.
                        throw HistoryError(.failed, "the transaction was rolled back by the database")
                    }
                }
                return .commit
            }
        } catch {
            let error = HistoryError(database: error)
            for call in batch { call.fail(error) }
            return
        }
        for call in batch { call.deliver() }
    }
}

extension HistoryError {
    /// The form in which a caller sees an error of the database. SQLite's texts name tables and columns, no values.
    init(database error: any Error) {
        switch error {
        case let error as HistoryError: self = error
        case let error as DatabaseError:
            let code: Code =
                switch error.resultCode {
                case .SQLITE_BUSY, .SQLITE_LOCKED: .busy
                case .SQLITE_FULL: .full
                case .SQLITE_CORRUPT, .SQLITE_NOTADB: .corrupt
                default: .failed
                }
            self.init(
                code, "SQLite \(error.extendedResultCode.rawValue): \(error.message ?? "no message")", cause: error)
        default: self.init(.failed, "the database call failed", cause: error)
        }
    }
}
