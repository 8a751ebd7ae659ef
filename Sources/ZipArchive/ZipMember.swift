/// A file that is to be written into an archive.
public struct ZipMember: Sendable, Hashable {
    /// The name in the archive, with `/` between folders; ``ZipNames`` makes safe and unique ones.
    public var name: String
    /// The file's size in bytes, at least 0.
    public var sizeBytes: Int64
    /// The CRC-32 of its bytes where it is known beforehand; they are checked against it.
    public var crc32: UInt32?
    /// When it was last changed.
    public var modifiedAt: DOSDateTime

    /// Describes a file.
    public init(name: String, sizeBytes: Int64, crc32: UInt32? = nil, modifiedAt: DOSDateTime = .earliest) {
        precondition(sizeBytes >= 0, "A size is not negative.")
        self.name = name
        self.sizeBytes = sizeBytes
        self.crc32 = crc32
        self.modifiedAt = modifiedAt
    }
}
