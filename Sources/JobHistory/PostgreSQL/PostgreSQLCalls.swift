internal import FunctionKit
internal import Glibc
internal import NIOPosix
internal import Synchronization

/// Takes calls to one server: bounded, each with a deadline, on a bounded number of connections, inserts in shared
/// statements.
///
/// How it works. A connection belongs to a thread of a pool of this store's own while the thread works; libpq blocks
/// nothing else. A call is put into a list, and if fewer threads than connections are at work one more is set going. A
/// thread works until the lists are empty, then puts its connection back. Inserts have a list of their own, which one
/// thread at a time empties with one statement, so one commit: while the server syncs it, the next batch gathers.
///
/// What fails for reasons that pass (the server restarts, a deadlock, a standby that was made primary) is tried again,
/// with growing pauses, until its deadline. When a connection is lost, nobody knows whether the transaction was
/// committed; the next attempt is told so (`isRepeat`) and looks at what it finds, so that every call is idempotent.
/// `OutstandingCalls` bounds the calls and sees to it that callers learn of their deadlines in time.
final class PostgreSQLCalls: Sendable {
    private struct State {
        var insertions: [PostgreSQLInsertion.Row] = []
        var calls: [any PostgreSQLWork] = []
        var isInserting = false
        var workerCount = 0
        var idle: [PostgreSQLConnection] = []
        var whenIdle: CheckedContinuation<Void, Never>?
    }

    /// More rows than this in one statement would make the first of them wait for the last.
    private static let batchLimit = 512
    private static let firstPause = Duration.milliseconds(10)
    private static let longestPause = Duration.seconds(1)

    private let connectionLimit: Int
    private let outstanding: OutstandingCalls
    private let connect: Connect
    private let threads: NIOThreadPool
    private let state = Mutex(State())

    /// Makes a connection, while somebody waits for it. It blocks.
    typealias Connect =
        @Sendable (_ deadline: ContinuousClock.Instant, _ isWanted: () -> Bool) throws -> PostgreSQLConnection

    /// - Parameters:
    ///   - connections: How many connections there are at most, each with a thread.
    ///   - limit: How many calls may be under way at once.
    ///   - timeout: The deadline of each call.
    ///   - connect: Makes a connection.
    init(
        connections: Int, limit: Int, timeout: Duration, connect: @escaping Connect
    ) {
        connectionLimit = connections
        outstanding = OutstandingCalls(limit: limit, timeout: timeout)
        self.connect = connect
        threads = NIOThreadPool(numberOfThreads: connections)
        threads.start()
    }

    /// How many calls are under way.
    var outstandingCount: Int { outstanding.count }
    /// How many connections are open and not at work.
    var idleCount: Int { state.withLock { $0.idle.count } }

    /// Runs work on a connection of its own.
    ///
    /// - Parameters:
    ///   - timeout: The deadline where it is another than the store's.
    ///   - body: The work.
    /// - Returns: What the work gave.
    /// - Throws: What it threw, ``HistoryError``.
    func run<Value: Sendable>(
        within timeout: Duration? = nil, _ body: @escaping PostgreSQLCall<Value>.Body
    ) async throws -> Value {
        let call = PostgreSQLCall(deadline: .now + (timeout ?? outstanding.timeout), body: body)
        return try await outstanding.run(call.pending) { add { $0.calls.append(call) } }
    }

    /// Inserts a row in a statement that other callers may share.
    func insert(_ insertion: PostgreSQLInsertion.Content) async throws -> HistoryKey? {
        let pending = PendingCall<HistoryKey?>(deadline: .now + outstanding.timeout)
        let row = PostgreSQLInsertion.Row(content: insertion, pending: pending)
        return try await outstanding.run(pending) { add { $0.insertions.append(row) } }
    }

    /// Takes no more calls, lets those under way end, and closes the connections. A second call does nothing.
    func close() async {
        guard outstanding.close() else { return }
        await withCheckedContinuation { continuation in
            let isIdle = state.withLock { state -> Bool in
                if state.workerCount > 0 { state.whenIdle = continuation }
                return state.workerCount == 0
            }
            if isIdle { continuation.resume() }
        }
        let idle = state.withLock { state in
            defer { state.idle = [] }
            return state.idle
        }
        for connection in idle { connection.close() }
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            threads.shutdownGracefully(queue: outstanding.clock) { _ in continuation.resume() }
        }
    }

    // MARK: Working

    private func add(_ change: (inout State) -> Void) {
        let begins = state.withLock { state -> Bool in
            change(&state)
            let hasWork = !state.calls.isEmpty || !state.isInserting
            guard state.workerCount < connectionLimit, hasWork else { return false }
            state.workerCount += 1
            return true
        }
        guard begins else { return }
        threads.submit { state in
            guard case .active = state else { return }
            self.work()
        }
    }

    private func work() {
        var connection = state.withLock { $0.idle.popLast() }
        var hasInserted = false
        while let work = next(connection, after: hasInserted) {
            perform(work, &connection)
            hasInserted = work is PostgreSQLInsertion
            if hasInserted { state.withLock { $0.isInserting = false } }
        }
    }

    // A thread that comes from inserting takes a call first, so that those of a store with one connection get their turn.

    /// What to do next, or `nil` when there is nothing: then the connection is the pool's again.
    private func next(_ connection: PostgreSQLConnection?, after hasInserted: Bool) -> (any PostgreSQLWork)? {
        let (work, waiting) = state.withLock { state -> ((any PostgreSQLWork)?, CheckedContinuation<Void, Never>?) in
            if !state.isInserting, !state.insertions.isEmpty, !hasInserted || state.calls.isEmpty {
                let rows = Array(state.insertions.prefix(Self.batchLimit))
                state.insertions.removeFirst(rows.count)
                state.isInserting = true
                return (PostgreSQLInsertion(rows), nil)
            }
            if !state.calls.isEmpty { return (state.calls.removeFirst(), nil) }
            // Under the same lock as the look at the lists: who adds something later sees that this thread is gone.
            state.workerCount -= 1
            if let connection { state.idle.append(connection) }
            guard state.workerCount == 0 else { return (nil, nil) }
            defer { state.whenIdle = nil }
            return (nil, state.whenIdle)
        }
        waiting?.resume()
        return work
    }

    private func perform(_ work: any PostgreSQLWork, _ connection: inout PostgreSQLConnection?) {
        var pause = Self.firstPause
        var isRepeat = false
        while !work.isFinished {
            do {
                let used = try connection ?? connect(work.deadline) { !work.isFinished }
                connection = used
                used.deadline = work.deadline
                defer {
                    if !used.isUsable {
                        used.close()
                        connection = nil
                    }
                }
                do {
                    try work.perform(on: used, isRepeat: isRepeat)
                    return
                } catch let failure as PostgreSQLFailure {
                    if !failure.isUndone { isRepeat = true }
                    throw failure
                }
            } catch let failure as PostgreSQLFailure {
                guard failure.isTransient, .now + pause < work.deadline else { return work.fail(failure.error) }
                Self.sleep(pause)
                pause = min(pause * 2, Self.longestPause)
            } catch {
                return work.fail(error)
            }
        }
    }

    /// Blocks this thread, which is the store's own, for half to all of the time.
    private static func sleep(_ pause: Duration) {
        let microseconds = Int(pause / .microseconds(1))
        usleep(UInt32(clamping: Int.random(in: microseconds / 2...microseconds)))
    }
}
