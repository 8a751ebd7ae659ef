/// The bounds within which an archive is made.
///
/// Memory is at most about ``concurrentUploadCount`` + 3 parts (one being filled, one or two held back until their
/// file's checksum is known), twice over in the worst case because of what the chunks' storage wastes, and
/// ``fetchAheadBytes``; whatever the archive's size.
public struct ArchivePolicy: Sendable, Hashable {
    /// The size of a part; S3 wants at least 5 MiB. Archives of at most one part are written in one request.
    public var partSizeBytes = 8 << 20
    /// How far the part size may grow so that 10 000 parts suffice; larger archives are refused.
    public var maximumPartSizeBytes = 64 << 20
    /// How many parts are sent at a time, at least 1.
    public var concurrentUploadCount = 3
    /// How many coming files are asked for at a time, at least 1.
    public var fetchAheadCount = 4
    /// The bytes that files fetched ahead may take.
    public var fetchAheadBytes = 8 << 20
    /// Files of at most this size are fetched whole, ahead of their turn; larger ones stream.
    public var fetchWholeBytes = 1 << 20
    /// The DEFLATE level, 1 (fast) to 12 (small), for files that are fetched whole; `nil` stores everything. Files that stream are
    /// always stored, because libdeflate needs all of a file at once.
    public var deflateLevel: Int?
    /// How long one file may keep the archive waiting, in addition to the time that its size allows at
    /// ``minimumBytesPerSecond``. Only waiting for the source counts, not for uploads. The wait for a single chunk is
    /// bounded by the store.
    public var fileTimeout: Duration = .seconds(60)
    /// The rate that a large file must keep.
    public var minimumBytesPerSecond: Int64 = 256 << 10
    /// How often a file's transfer may fail in a row without at least 1 MiB of new bytes, at least 1. It goes on where
    /// it stopped. Requests that fail as a whole are tried again by the store, not here.
    public var tries = 3
    /// The wait after a first failure; it doubles each time.
    public var firstBackoff: Duration = .seconds(1)
    /// The longest wait after a failure.
    public var maximumBackoff: Duration = .seconds(30)
    /// The least time between two reports of progress.
    public var progressInterval: Duration = .milliseconds(250)

    /// The defaults.
    public init() {}

    /// The parts that a multipart upload may have.
    static let maximumPartCount = 10_000

    /// The part size for an archive of about so many bytes, or `nil` when it is too large. A tenth of the parts is kept
    /// for files that grow meanwhile.
    func partSizeBytes(forArchiveOf bytes: Int64) -> Int? {
        let needed = bytes / Int64(Self.maximumPartCount * 9 / 10) + 1
        guard needed > Int64(partSizeBytes) else { return partSizeBytes }
        let mebibyte: Int64 = 1 << 20
        let rounded = (needed + mebibyte - 1) / mebibyte * mebibyte
        return rounded <= Int64(maximumPartSizeBytes) ? Int(rounded) : nil
    }

    func backoff(afterFailures count: Int) -> Duration {
        min(firstBackoff * (1 << min(count - 1, 20)), maximumBackoff)
    }
}
