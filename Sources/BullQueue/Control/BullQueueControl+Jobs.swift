internal import FunctionKit
internal import RedisClient

extension BullQueueControl {
    /// Makes delayed jobs ready at once.
    ///
    /// - Parameter ids: Any number of ids.
    /// - Returns: What became of each: done or in another state.
    /// - Throws: ``BullError`` with code `.redis`: some may have been promoted.
    public func promote(_ ids: [String]) async throws(BullError) -> [BullJobChange] {
        try await change(ids, BullScripts.promoteJobs, [])
    }

    /// Makes all jobs ready that are delayed now; each keeps its priority.
    ///
    /// - Returns: How many.
    /// - Throws: ``BullError`` with code `.redis`: some may have been promoted.
    public func promoteAll() async throws(BullError) -> Int {
        let ids = try await allIDs(in: .delayed)
        return try await promote(ids).count { $0.result == .done }
    }

    /// Has jobs that have ended worked again; each keeps its id, data and priority.
    ///
    /// - Parameters:
    ///   - ids: Any number of ids.
    ///   - state: Where they are: failed or completed.
    ///   - resetsAttempts: Whether attempts, starts and stalls count from zero again. Else a job that has used up its
    ///     attempts has one more.
    /// - Returns: What became of each: done, missing or in another state.
    /// - Throws: ``BullError`` with code `.redis`: some may wait again.
    public func retry(
        _ ids: [String], in state: BullJobState = .failed, resetsAttempts: Bool = false
    ) async throws(BullError) -> [BullJobChange] {
        precondition(state.hasEnded, "only jobs that have ended can be retried")
        return try await change(
            ids, BullScripts.retryEnded, [.string(state.rawValue), resetsAttempts ? "reset" : ""])
    }

    /// Has all jobs worked again that are in a state now.
    ///
    /// - Returns: How many.
    /// - Throws: As ``retry(_:in:resetsAttempts:)``.
    public func retryAll(
        in state: BullJobState = .failed, resetsAttempts: Bool = false
    ) async throws(BullError) -> Int {
        let ids = try await allIDs(in: state)
        return try await retry(ids, in: state, resetsAttempts: resetsAttempts).count { $0.result == .done }
    }

    /// Removes jobs that no worker holds, whatever their state.
    ///
    /// - Parameters:
    ///   - ids: Any number of ids.
    ///   - takesChildren: Whether the children of each go too.
    /// - Returns: What became of each: done, missing, held or planned.
    /// - Throws: ``BullError`` with code `.redis`: some may have been removed.
    public func remove(_ ids: [String], takesChildren: Bool = false) async throws(BullError) -> [BullJobChange] {
        let jobs = ids.filter { !BullKeys.isReserved($0) }
        let changes = try await change(
            jobs, BullScripts.removeJobs, [BullQueueControl.now, takesChildren ? "children" : ""])
        return changes + ids.filter(BullKeys.isReserved).map { BullJobChange(id: $0, result: .missing) }
    }

    /// Gives a job other data.
    ///
    /// - Parameters:
    ///   - id: The job's id.
    ///   - json: JSON text.
    ///   - state: The state that it must be in, failed or completed; `nil` for any.
    /// - Throws: ``BullError`` with code `.invalidJSON`, `.jobMissing`, `.wrongState` or `.redis`.
    public func updateData(
        of id: String, to json: String, in state: BullJobState? = nil
    ) async throws(BullError) {
        guard JSONNode.isValid(json) else { throw BullError(.invalidJSON, "a job's data must be JSON") }
        let required = state.flatMap { $0.hasEnded ? $0.rawValue : nil } ?? ""
        try await changeOne(id, BullScripts.updateData, [.string(id), .string(json), .string(required)])
    }

    /// Adds a line to a job's log.
    ///
    /// - Parameters:
    ///   - line: The line.
    ///   - id: The job's id.
    ///   - keep: How many lines are kept, the last ones; `nil` for all.
    /// - Returns: How many lines the log has.
    /// - Throws: ``BullError`` with code `.jobMissing`, `.invalidOption` or `.redis`.
    @discardableResult
    public func addLog(_ line: String, to id: String, keep: Int? = nil) async throws(BullError) -> Int {
        guard keep ?? 1 >= 1 else { throw BullError(.invalidOption, "a log keeps at least one line") }
        return try await changeOne(
            id, BullScripts.addLog, [.string(id), .string(line), .integer(Int64(keep ?? 0))])
    }

    /// Gives a delayed job another time.
    ///
    /// - Parameters:
    ///   - id: The job's id.
    ///   - delay: The time from now until it is due, 0 to ten years.
    /// - Throws: ``BullError`` with code `.invalidOption`, `.jobMissing`, `.wrongState` when it is not delayed, `.redis`.
    public func changeDelay(of id: String, to delay: Duration) async throws(BullError) {
        guard delay >= .zero, Double(delay.wholeMilliseconds) <= BullBackoff.maximumMs else {
            throw BullError(.invalidOption, "a job's delay must be 0 to ten years")
        }
        try await changeOne(
            id, BullScripts.changeDelay, [BullQueueControl.now, .string(id), .integer(delay.wholeMilliseconds)])
    }

    /// Gives a job another priority, and another place when it waits.
    ///
    /// - Parameters:
    ///   - id: The job's id.
    ///   - priority: 0 for none, else 1 (first) to 2 097 151.
    ///   - isNext: Whether it goes before the others of that priority.
    /// - Throws: ``BullError`` with code `.invalidOption`, `.jobMissing` or `.redis`.
    public func changePriority(of id: String, to priority: Int, isNext: Bool = false) async throws(BullError) {
        guard (0...BullJobOptions.maximumPriority).contains(priority) else {
            throw BullError(.invalidOption, "a job's priority must be 0 to \(BullJobOptions.maximumPriority)")
        }
        try await changeOne(
            id, BullScripts.changePriority, [.string(id), .integer(Int64(priority)), isNext ? "lifo" : ""])
    }

    @discardableResult
    private func changeOne(
        _ id: String, _ script: StoreScript, _ arguments: [RedisArgument]
    ) async throws(BullError) -> Int {
        guard !BullKeys.isReserved(id) else { throw BullError(.jobMissing, "there is no job \(id)") }
        switch try await run(script, arguments).integer {
        case -1: throw BullError(.jobMissing, "there is no job \(id)")
        case -3: throw BullError(.wrongState, "the job \(id) is not in a state that allows it")
        case let count? where count >= 0: return Int(count)
        default: throw BullError(.redis, "an unexpected reply to \(script.name)")
        }
    }

    /// The ids that a state holds, read in pages; what changes meanwhile may be missed or come twice.
    ///
    /// - Throws: ``BullError`` with code `.redis`.
    public func allIDs(in state: BullJobState) async throws(BullError) -> [String] {
        let steps = try await counts()[state] / BullQueueControl.stepCount
        var all: [String] = []
        for step in 0...steps {
            all += try await ids(
                in: state, offset: step * BullQueueControl.stepCount, count: BullQueueControl.stepCount)
        }
        return all
    }
}
