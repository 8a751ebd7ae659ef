public import FunctionKit

/// The live record of a job: what every route and watcher reads, one Redis hash, `ferry:job:<jobId>`.
///
/// The hash has a fixed set of fields (``JobRecord/fields``), so that one HMGET reads it whole. What is one value a
/// file is packed into one string for all: `files` has a character each (`p`, `c`, `f`), `sizes` eleven hexadecimal
/// digits each or hyphens, `errors` a line for each failure with the file's place, a tab and the reason.
public struct JobRecord: Sendable, Hashable {
    /// The id.
    public let id: JobID
    /// The round, from 1; a retry begins a new one.
    public let round: Int
    /// Grows with every change, for ever: `round · 2³² + counter`.
    public internal(set) var seq: Int64
    /// The status as stored; what time has made of it tells ``status(at:)``.
    public var status: JobStatus
    /// The owner, or `nil` where identities are not used.
    public let owner: String?
    /// How the files are to be packed, as JSON text; see ``DownloadOptions/init(json:)``.
    public let options: String
    /// The files in the order asked for.
    public var files: [JobFile]
    /// How far the current attempt is.
    public var progress: Progress
    /// The current or last attempt, 0 before the first.
    public var attempt: Int
    /// How many attempts a round has.
    public var maxAttempts: Int
    /// Which worker of this round holds the job: each that takes it up gets the next number.
    ///
    /// Attempts do not tell workers apart: a job that stalled goes to another worker in the same attempt.
    public internal(set) var claim: Int
    /// Why the last attempt or the job failed.
    public var failure: JobFailure?
    /// The multipart upload under way, by which a sweeper knows that it is alive.
    public var upload: ObjectUpload?
    /// The archive, once it is made.
    public var archive: HistoryArchive?
    /// When the job was accepted.
    public let createdAt: Timestamp
    /// When it last changed.
    public var updatedAt: Timestamp
    /// When the archive goes, once there is one.
    public var expiresAt: Timestamp?

    /// Makes the record of a job that waits for its first attempt in a round.
    ///
    /// - Parameters:
    ///   - id: The id.
    ///   - round: The round, from 1 to 2²⁰.
    ///   - owner: The owner, or `nil`.
    ///   - options: As JSON text.
    ///   - fileIDs: The files in the order asked for.
    ///   - maxAttempts: How many attempts the round has.
    ///   - createdAt: When the job was accepted.
    ///   - updatedAt: When the round began.
    public init(
        id: JobID, round: Int = 1, owner: String?, options: String, fileIDs: [Int64], maxAttempts: Int,
        createdAt: Timestamp, updatedAt: Timestamp
    ) {
        self.id = id
        self.round = round
        seq = JobRecord.firstSeq(of: round)
        status = .queued
        self.owner = owner
        self.options = options
        files = fileIDs.map { JobFile(id: $0) }
        progress = Progress(total: fileIDs.count)
        attempt = 0
        self.maxAttempts = maxAttempts
        claim = 0
        self.createdAt = createdAt
        self.updatedAt = updatedAt
    }

    /// The highest round, so that `seq` stays exact as a double.
    static let lastRound = 1 << 20

    /// The highest `seq` there can be.
    static let lastSeq = firstSeq(of: lastRound + 1) - 2

    /// The first `seq` of a round.
    static func firstSeq(of round: Int) -> Int64 { Int64(round) << 32 + 1 }

    /// The round that a `seq` is of.
    static func round(of seq: Int64) -> Int64 { seq >> 32 }

    /// The status at that time: an archive whose time has come is expired, whether or not it was deleted yet.
    public func status(at time: Timestamp) -> JobStatus {
        guard status == .ready, let expiresAt, expiresAt <= time else { return status }
        return .expired
    }

    /// The name under which the archive is saved.
    public var archiveName: String { DownloadOptions(json: options).archiveName ?? ArchiveName.standard(for: id) }

    /// Puts files and progress back to where an attempt begins.
    mutating func beginAttempt(_ attempt: Int) {
        self.attempt = attempt
        files = files.map { JobFile(id: $0.id) }
        progress = Progress(total: files.count)
        failure = nil
        upload = nil
    }
}
