import Downloads
import FunctionKit

/// `Initiate`, which is compiled beside it, on a history that keeps nothing.
struct WithoutHistory: HTTPFunction {
    func handle(_ request: Request, _ context: Context) async throws -> Response {
        let given = context.bindings
        let bindings = Bindings(
            keyValue: try given.keyValue, objects: try given.objects, history: NoHistory(), queues: Queues(given: given)
        )
        return try await Initiate().handle(
            request,
            Context(
                logger: context.logger, function: context.function, requestID: context.requestID,
                deadline: context.deadline, attempt: context.attempt, traceParent: context.traceParent,
                user: context.user, bindings: bindings))
    }
}

private struct Queues: QueueProvider {
    let given: Bindings

    func queue(_ name: String) throws -> any JobQueue { try given.queue(name) }
}

/// Takes every job at once and knows none.
private struct NoHistory: HistoryStore {
    func insert(_ job: HistoryJob) async throws {}
    func insert(_ job: HistoryJob, key: HistoryKey) async throws -> HistoryKey { key }
    func find(_ id: String) async throws -> HistoryJob? { nil }
    func files(of id: String) async throws -> [HistoryFile] { [] }
    func update(_ id: String, round: Int, from states: Set<String>, change: HistoryChange) async throws -> Bool {
        false
    }
    func beginRound(
        after round: Int, of id: String, from states: Set<String>, at time: Timestamp
    ) async throws -> Bool { false }
    func raise(_ id: String, after round: Int, from states: Set<String>, at time: Timestamp) async throws -> Bool {
        false
    }
    func record(_ files: [HistoryFile], of id: String, round: Int) async throws -> Bool { false }
    func list(
        states: Set<String>, changedBefore: Timestamp, after place: HistoryPlace?, limit: Int
    ) async throws -> [HistoryJob] { [] }
    func list(_ query: HistoryQuery) async throws -> [HistorySummary] { [] }
    func list(states: Set<String>, expiresBefore: Timestamp, limit: Int) async throws -> [HistoryJob] { [] }
    func listCallbacks(
        states: Set<String>, dueBefore: Timestamp, after place: HistoryPlace?, limit: Int
    ) async throws -> [HistoryJob] { [] }
    func record(_ callback: HistoryCallback, of id: String) async throws -> Bool { false }
    func remove(_ id: String, round: Int, from states: Set<String>) async throws -> Bool { false }
    func removeKeys(expiredBefore: Timestamp, limit: Int) async throws -> Int { 0 }
    func lease(_ name: String, to holder: String, for duration: Duration, at time: Timestamp) async throws -> Bool {
        false
    }
    func endLease(_ name: String, of holder: String) async throws {}
    func check() async throws {}
}
