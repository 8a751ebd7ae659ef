public import FunctionKit

/// The records of all jobs, in Redis. Every change is a compare-and-set; see
/// ``advance(_:from:claim:changed:messages:)``.
public struct JobStore: Sendable {
    private let store: any KeyValueStore
    private let retention: Duration

    /// Makes a view of the store.
    ///
    /// - Parameters:
    ///   - store: Redis.
    ///   - retention: How long a record stays after the last change of its status.
    public init(_ store: any KeyValueStore, retention: Duration) {
        self.store = store
        self.retention = retention
    }

    /// Writes the record of a new round and tells watchers.
    ///
    /// - Parameter record: The job as
    ///   ``JobRecord/init(id:round:owner:options:fileIDs:maxAttempts:createdAt:updatedAt:)`` makes it.
    /// - Returns: `false` when a record of this round or a later one is there; then nothing was written.
    /// - Throws: A ``FunctionKit/ClassifiedError``; the record may then have been written.
    public func create(_ record: JobRecord) async throws -> Bool {
        let message = JobMessage.status.text(record, changed: [])
        let arguments =
            [String(record.round), String(record.seq), lifetime, Self.channel(record.id), message]
            + record.constantFields + record.variableFields + record.fileFields
        let reply = try await store.evaluate(
            JobScripts.create, keys: [Self.key(record.id)], arguments: arguments)
        return reply.integer == 1
    }

    /// Reads a record in one round trip.
    ///
    /// - Parameter id: The job.
    /// - Returns: The record, or `nil` when there is none.
    /// - Throws: A ``FunctionKit/ClassifiedError``; ``DownloadsError`` when the record cannot be read.
    public func load(_ id: JobID) async throws -> JobRecord? {
        let reply = try await store.send(["HMGET", Self.key(id)] + JobRecord.fields)
        return try JobRecord(id: id, values: reply.array ?? [])
    }

    /// How a record stands.
    struct Standing: Sendable, Hashable {
        let round: Int64
        let status: JobStatus
    }

    /// How records stand, in one step.
    ///
    /// - Parameter ids: Some hundreds at most.
    /// - Returns: For each id how its record stands; `nil` when there is none, or it cannot be read.
    /// - Throws: A ``FunctionKit/ClassifiedError``.
    func standings(of ids: [JobID]) async throws -> [Standing?] {
        guard !ids.isEmpty else { return [] }
        let reply = try await store.evaluate(JobScripts.standings, keys: ids.map(Self.key), arguments: [])
        guard let values = reply.array, values.count == 2 * ids.count else {
            throw DownloadsError(.corruptRecord, "the script's reply cannot be read")
        }
        return ids.indices.map { index in
            guard let round = values[2 * index].integer,
                let status = JobStatus(rawValue: values[2 * index + 1].string ?? "")
            else { return nil }
            return Standing(round: round, status: status)
        }
    }

    /// Whether a job is unfinished and its record still has that `seq`; also `false` when there is no record.
    ///
    /// - Throws: A ``FunctionKit/ClassifiedError``.
    func isUnfinished(_ id: JobID, at seq: Int64) async throws -> Bool {
        let values = try await store.send(["HMGET", Self.key(id), "seq", "status"]).array ?? []
        guard values.count == 2, values[0].integer == seq, let status = JobStatus(rawValue: values[1].string ?? "")
        else { return false }
        return !status.isFinished
    }

    /// Removes the record of a job, unless it is of a later round.
    ///
    /// - Parameters:
    ///   - id: The job.
    ///   - round: The round that is over.
    /// - Throws: A ``FunctionKit/ClassifiedError``.
    func forget(_ id: JobID, round: Int) async throws {
        _ = try await store.evaluate(JobScripts.forget, keys: [Self.key(id)], arguments: [String(round)])
    }

    /// Which worker a change may come from.
    enum Claim: Sendable, Hashable {
        /// Whoever it is.
        case any
        /// A worker that takes the job over: files and progress are written anew.
        case take
        /// Only the worker with that claim.
        case held(Int)
    }

    /// What came of a change.
    enum Advance: Sendable, Hashable {
        /// It was made; the record's new `seq` and claim.
        case done(seq: Int64, claim: Int)
        /// It was not made.
        case refused(Refusal)
    }

    /// Why a change was not made, and how the record stands.
    struct Refusal: Sendable, Hashable {
        enum Reason: Int64, Sendable {
            case noRecord = 0
            case otherRound = -1
            case otherState = -2
            case otherClaim = -3
        }

        let reason: Reason
        let claim: Int
        let status: JobStatus?
    }

    /// How a record stands for the worker that holds a claim of a round.
    ///
    /// - Returns: Why the worker may change nothing any more, or `nil` while the job is its own.
    /// - Throws: A ``FunctionKit/ClassifiedError`` of the store.
    func refusal(of id: JobID, round: Int, claim: Int) async throws -> Refusal? {
        let values = try await store.send(["HMGET", Self.key(id), "round", "status", "claim"]).array ?? []
        guard values.count == 3, let currentRound = values[0].integer else {
            return Refusal(reason: .noRecord, claim: 0, status: nil)
        }
        let status = JobStatus(rawValue: values[1].string ?? "")
        let currentClaim = values[2].integer.flatMap(Int.init(exactly:)) ?? 0
        let reason: Refusal.Reason
        if currentRound != round {
            reason = .otherRound
        } else if status != .processing {
            reason = .otherState
        } else if currentClaim != claim {
            reason = .otherClaim
        } else {
            return nil
        }
        return Refusal(reason: reason, claim: currentClaim, status: status)
    }

    /// Changes a record, and publishes the change, if it is still in its round and in one of the given states.
    ///
    /// - Parameters:
    ///   - record: The job after the change; its constant fields are not looked at.
    ///   - states: The states from which the change may be made.
    ///   - claim: Which worker the change may come from.
    ///   - changed: The places of the files that changed; not needed with `take`.
    ///   - messages: What watchers are told, in this order.
    /// - Returns: Whether it was made; on success `record` has its new `seq` and claim.
    /// - Throws: A ``FunctionKit/ClassifiedError``; when no reply came the change may have been made. The same change
    ///   may be sent again: results of files are overwritten.
    func advance(
        _ record: inout JobRecord, from states: Set<JobStatus>, claim: Claim, changed: [Int] = [],
        messages: [JobMessage]
    ) async throws -> Advance {
        let takes = claim == .take
        let renews = messages != [.progress]
        var arguments = [
            String(record.round), Self.text(claim), ",\(states.map(\.rawValue).sorted().joined(separator: ",")),",
            renews ? lifetime : "0", Self.channel(record.id), takes ? "" : record.fileCells(changed),
            takes ? "" : record.errorLines(changed), String(messages.count),
        ]
        for message in messages { arguments.append(message.text(record, changed: changed)) }
        arguments += record.variableFields
        if takes { arguments += record.fileFields }
        let reply = try await store.evaluate(JobScripts.advance, keys: [Self.key(record.id)], arguments: arguments)
        let values = reply.array ?? []
        guard values.count == 4, let code = values[0].integer, let seq = values[1].integer,
            let number = values[2].integer.flatMap(Int.init(exactly:))
        else { throw DownloadsError(.corruptRecord, "the script's reply cannot be read") }
        if code == 1 {
            record.seq = seq
            record.claim = number
            return .done(seq: seq, claim: number)
        }
        guard let reason = Refusal.Reason(rawValue: code) else {
            throw DownloadsError(.corruptRecord, "the script answered \(code)")
        }
        return .refused(Refusal(reason: reason, claim: number, status: JobStatus(rawValue: values[3].string ?? "")))
    }

    /// The key of a job's record.
    static func key(_ id: JobID) -> String { "ferry:job:\(id)" }

    /// The channel of a job's watchers.
    static func channel(_ id: JobID) -> String { "job:\(id)" }

    private var lifetime: String { String(Int64(retention / .milliseconds(1))) }

    private static func text(_ claim: Claim) -> String {
        switch claim {
        case .any: ""
        case .take: "+"
        case .held(let number): String(number)
        }
    }
}
