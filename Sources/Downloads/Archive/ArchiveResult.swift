public import FunctionKit

/// A finished archive.
public struct ArchiveResult: Sendable, Hashable {
    /// Its key in the object store.
    public let key: String
    /// Its size in bytes.
    public let sizeBytes: Int64
    /// CRC-32 of the whole archive.
    public let crc32: UInt32
    /// What became of each file, in the order asked for.
    public let files: [ArchivedFile]
}

/// What became of one file.
public struct ArchivedFile: Sendable, Hashable {
    /// Whether the archive holds it.
    public enum Status: String, Sendable, Codable {
        /// The archive holds it.
        case completed
        /// It was left out.
        case failed
    }

    /// The file's id.
    public let fileID: Int64
    /// Its place in the order asked for, from 0.
    public let position: Int
    /// Its key in the object store.
    public let key: String
    /// Its name in the archive, or the one it would have had.
    public let name: String
    /// Whether the archive holds it.
    public let status: Status
    /// Its size in bytes, where it is known.
    public let sizeBytes: Int64?
    /// CRC-32 of its bytes, when it was archived.
    public let crc32: UInt32?
    /// Why it was left out, safe to show to the owner.
    public let error: String?
    /// The class under which that is counted.
    public let errorClass: ErrorClass?
}
