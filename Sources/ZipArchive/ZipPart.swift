public import NIOCore

/// A finished part of an archive, ready to be uploaded.
public struct ZipPart: Sendable {
    /// The part's place in the archive, from 1.
    public let number: Int
    /// Its bytes in order, mostly the very buffers that were given to the assembler.
    public let body: [ByteBuffer]
    /// How many bytes it has.
    public let sizeBytes: Int
    /// The CRC-32 of its bytes.
    public let crc32: UInt32
}

/// What a finished archive is.
public struct ZipSummary: Sendable, Hashable {
    /// Its size in bytes.
    public let sizeBytes: Int64
    /// The CRC-32 of all its bytes.
    public let crc32: UInt32
    /// How many members it has.
    public let memberCount: Int
    /// How many parts it was cut into.
    public let partCount: Int
}
