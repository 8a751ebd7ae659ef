/// The durable record of jobs: what was accepted is never lost.
///
/// Every change of a job names its round, and an older round changes nothing. Concurrent inserts share a transaction.
/// Errors are ``ClassifiedError``s.
public protocol HistoryStore: Sendable {
    /// Commits a new job in round 1.
    ///
    /// - Throws: Also when a job of that id exists.
    func insert(_ job: HistoryJob) async throws

    /// Commits a new job in round 1 under a key by which its owner can ask for it again, in one transaction.
    ///
    /// Keys of different owners never meet; jobs without an owner share theirs. A key whose time was over when the job was
    /// made counts as none. A key goes with its job.
    ///
    /// - Parameters:
    ///   - job: The job.
    ///   - key: Names the job.
    /// - Returns: The key as it stands then: the given one, or that of the job which was accepted under it before; then
    ///   nothing was written.
    /// - Throws: Also when a job of that id exists, unless the key is that job's.
    func insert(_ job: HistoryJob, key: HistoryKey) async throws -> HistoryKey

    /// The job of that id, or `nil`.
    func find(_ id: String) async throws -> HistoryJob?

    /// The files of a job in the order asked for; empty until results are known.
    func files(of id: String) async throws -> [HistoryFile]

    /// Writes a change of status when the job is in that round and in one of the given states.
    ///
    /// - Returns: Whether it was written.
    func update(_ id: String, round: Int, from states: Set<String>, change: HistoryChange) async throws -> Bool

    /// Begins a job's next round when it is in that round and in one of the given states.
    ///
    /// The job is then as a new one: `queued`, without archive, expiry, error and results of files.
    ///
    /// - Returns: Whether the round was begun.
    func beginRound(after round: Int, of id: String, from states: Set<String>, at time: Timestamp) async throws -> Bool

    /// Begins the next round of a job whose round was lost, as ``beginRound(after:of:from:at:)`` does, and counts that in
    /// ``HistoryJob/raises``; a round that is begun there sets the count back to 0.
    ///
    /// - Returns: Whether the round was begun.
    func raise(_ id: String, after round: Int, from states: Set<String>, at time: Timestamp) async throws -> Bool

    /// Writes results of files when the job is in that round; a file written before is overwritten.
    ///
    /// - Returns: Whether they were written.
    func record(_ files: [HistoryFile], of id: String, round: Int) async throws -> Bool

    /// Jobs in one of the given states that were last changed before the given time, by time and id, oldest first, at most
    /// `limit`; with a place, those behind it.
    func list(
        states: Set<String>, changedBefore: Timestamp, after place: HistoryPlace?, limit: Int
    ) async throws -> [HistoryJob]

    /// Jobs of one owner, by time of acceptance and id, newest first.
    func list(_ query: HistoryQuery) async throws -> [HistorySummary]

    /// Jobs in one of the given states whose archive goes before the given time, the first to go first, at most `limit`.
    func list(states: Set<String>, expiresBefore: Timestamp, limit: Int) async throws -> [HistoryJob]

    /// Jobs in one of the given states whose callback is due and neither they nor it should have changed since the given
    /// time, by time of their last change and id, oldest first, at most `limit`; with a place, those behind it.
    func listCallbacks(
        states: Set<String>, dueBefore: Timestamp, after place: HistoryPlace?, limit: Int
    ) async throws -> [HistoryJob]

    /// Writes how the callback stands, when the job wants one, is in its round and in the status that it is about, and when
    /// no later attempt and no end of the same was written.
    ///
    /// - Returns: Whether it was written.
    func record(_ callback: HistoryCallback, of id: String) async throws -> Bool

    /// Removes a job, with its files, when it is in that round and in one of the given states.
    ///
    /// - Returns: Whether it was removed.
    func remove(_ id: String, round: Int, from states: Set<String>) async throws -> Bool

    /// Removes keys whose time was over before the given time, at most `limit`.
    ///
    /// - Returns: How many were removed.
    func removeKeys(expiredBefore: Timestamp, limit: Int) async throws -> Int

    /// Takes or renews a lease, which one holder has at a time.
    ///
    /// The times are those of the callers' clocks, so two whose clocks differ may both believe to have it for a while.
    ///
    /// - Parameters:
    ///   - name: What is held.
    ///   - holder: Who wants it.
    ///   - duration: How long it holds.
    ///   - time: The time now.
    /// - Returns: Whether the holder has it; `false` while another's lasts.
    /// - Throws: A ``ClassifiedError``; the lease may then have been taken.
    func lease(_ name: String, to holder: String, for duration: Duration, at time: Timestamp) async throws -> Bool

    /// Ends a lease early; without effect when it is another's.
    func endLease(_ name: String, of holder: String) async throws

    /// Checks that the store can commit.
    func check() async throws
}

extension HistoryStore {
    /// Jobs in one of the given states that were last changed before the given time, oldest first, at most `limit`.
    public func list(states: Set<String>, changedBefore: Timestamp, limit: Int) async throws -> [HistoryJob] {
        try await list(states: states, changedBefore: changedBefore, after: nil, limit: limit)
    }
}

/// A job as the history keeps it.
public struct HistoryJob: Sendable, Hashable {
    /// The id.
    public let id: String
    /// The owner, or `nil` where identities are not used.
    public let owner: String?
    /// The round, from 1; a retry begins a new one.
    public let round: Int
    /// The status, such as `queued`.
    public let status: String
    /// The ids of the files asked for, in order.
    public let fileIDs: [Int64]
    /// The request's options as JSON text.
    public let options: String
    /// When the job was accepted.
    public let createdAt: Timestamp
    /// When it last changed.
    public let updatedAt: Timestamp
    /// When its archive goes, once it has one.
    public let expiresAt: Timestamp?
    /// The archive, once it is made.
    public let archive: HistoryArchive?
    /// Why it failed, if it did.
    public let error: String?
    /// How many of its rounds were begun because the one before was lost, since it was accepted or tried again.
    public let raises: Int
    /// How far its callback is; `nil` when nobody is to be told.
    public let callback: HistoryCallback?

    /// Makes a job.
    public init(
        id: String, owner: String?, round: Int, status: String, fileIDs: [Int64], options: String,
        createdAt: Timestamp, updatedAt: Timestamp, expiresAt: Timestamp? = nil, archive: HistoryArchive? = nil,
        error: String? = nil, raises: Int = 0, callback: HistoryCallback? = nil
    ) {
        self.id = id
        self.owner = owner
        self.round = round
        self.status = status
        self.fileIDs = fileIDs
        self.options = options
        self.createdAt = createdAt
        self.updatedAt = updatedAt
        self.expiresAt = expiresAt
        self.archive = archive
        self.error = error
        self.raises = raises
        self.callback = callback
    }
}

/// A finished archive.
public struct HistoryArchive: Sendable, Hashable {
    /// Its key in the object store.
    public let key: String
    /// Its size in bytes.
    public let sizeBytes: Int64
    /// CRC-32 of the whole archive.
    public let crc32: UInt32

    /// Makes a description of an archive.
    public init(key: String, sizeBytes: Int64, crc32: UInt32) {
        self.key = key
        self.sizeBytes = sizeBytes
        self.crc32 = crc32
    }
}

/// A change of a job's status.
public struct HistoryChange: Sendable, Hashable {
    /// The new status.
    public var status: String
    /// The time of the change.
    public var at: Timestamp
    /// When the archive goes; `nil` leaves it as it is.
    public var expiresAt: Timestamp?
    /// The archive; `nil` leaves it as it is.
    public var archive: HistoryArchive?
    /// Why it failed; `nil` clears it.
    public var error: String?

    /// Makes a change.
    public init(
        status: String, at: Timestamp, expiresAt: Timestamp? = nil, archive: HistoryArchive? = nil, error: String? = nil
    ) {
        self.status = status
        self.at = at
        self.expiresAt = expiresAt
        self.archive = archive
        self.error = error
    }
}

/// What became of one file of a job.
public struct HistoryFile: Sendable, Hashable {
    /// The file's id.
    public let fileID: Int64
    /// Its place in the order asked for, from 0.
    public let position: Int
    /// `pending`, `completed` or `failed`.
    public let status: String
    /// Its key in the object store.
    public let key: String?
    /// Its size in bytes, once it is known.
    public let sizeBytes: Int64?
    /// CRC-32 of its bytes, once it is known.
    public let crc32: UInt32?
    /// Why it failed, if it did.
    public let error: String?
    /// When that was known.
    public let processedAt: Timestamp?

    /// Makes a result.
    public init(
        fileID: Int64, position: Int, status: String, key: String?, sizeBytes: Int64?, crc32: UInt32?, error: String?,
        processedAt: Timestamp?
    ) {
        self.fileID = fileID
        self.position = position
        self.status = status
        self.key = key
        self.sizeBytes = sizeBytes
        self.crc32 = crc32
        self.error = error
        self.processedAt = processedAt
    }
}
