internal import Checksum
internal import NIOCore

// The records of a ZIP file as APPNOTE.TXT 6.3.10 lays them out. Sizes and checksum stand in the local header (general
// purpose bit 3 is clear), because readers that stream refuse a stored entry with a data descriptor. Zip64 records and
// fields are written only where a value does not fit, so that a reader without Zip64 can read a small archive.

/// What the headers of one member tell.
struct ZipEntry: Sendable {
    enum Method: UInt16, Sendable {
        case store = 0
        case deflate = 8
    }

    var name: String
    var method: Method
    var modifiedAt: DOSDateTime
    var crc32: CRC32
    var compressedBytes: Int64
    var sizeBytes: Int64
    /// Where the local header begins in the archive.
    var offset: Int64

    /// The largest value that a 32-bit field holds; one above says "look in the Zip64 extra field".
    static let largest32: Int64 = 0xFFFF_FFFE
    /// A regular file, readable by all and writable by its owner, in the Unix half of the external attributes.
    private static let externalAttributes: UInt32 = 0o100_644 << 16
    /// "Made by" Unix, so that those attributes count.
    private static let madeByUnix: UInt16 = 3 << 8

    private var hasLargeSize: Bool { sizeBytes > Self.largest32 || compressedBytes > Self.largest32 }
    private var hasLargeOffset: Bool { offset > Self.largest32 }

    /// Bit 11 (the name is UTF-8) where the name is more than ASCII.
    private var flags: UInt16 { name.utf8.allSatisfy { $0 < 0x80 } ? 0 : 1 << 11 }

    private func versionNeeded(zip64: Bool) -> UInt16 {
        zip64 ? 45 : method == .deflate ? 20 : 10
    }

    /// Section 4.3.7. Its length does not depend on the checksum.
    func writeLocalHeader(into buffer: inout ByteBuffer) {
        buffer.writeInteger(0x0403_4B50 as UInt32, endianness: .little)
        writeCommon(into: &buffer, zip64: hasLargeSize, largeSizes: hasLargeSize)
        buffer.writeInteger(hasLargeSize ? 20 : 0 as UInt16, endianness: .little)
        buffer.writeString(name)
        if hasLargeSize {
            // In a local header both sizes must stand here (4.5.3).
            buffer.writeMultipleIntegers(1 as UInt16, 16 as UInt16, sizeBytes, compressedBytes, endianness: .little)
        }
    }

    /// Section 4.3.12.
    func writeCentralHeader(into buffer: inout ByteBuffer) {
        let hasLargeField = hasLargeSize || hasLargeOffset
        let extraBytes: UInt16 = (hasLargeSize ? 16 : 0) + (hasLargeOffset ? 8 : 0)
        let version = versionNeeded(zip64: hasLargeField)
        buffer.writeInteger(0x0201_4B50 as UInt32, endianness: .little)
        buffer.writeInteger(Self.madeByUnix | version, endianness: .little)
        writeCommon(into: &buffer, zip64: hasLargeField, largeSizes: hasLargeSize)
        // Extra field, comment, disk, internal attributes; then external attributes and offset.
        buffer.writeMultipleIntegers(
            hasLargeField ? extraBytes + 4 : 0, 0 as UInt16, 0 as UInt16, 0 as UInt16, endianness: .little)
        buffer.writeInteger(Self.externalAttributes, endianness: .little)
        buffer.writeInteger(hasLargeOffset ? .max : UInt32(offset), endianness: .little)
        buffer.writeString(name)
        if hasLargeField { buffer.writeMultipleIntegers(1 as UInt16, extraBytes, endianness: .little) }
        if hasLargeSize { buffer.writeMultipleIntegers(sizeBytes, compressedBytes, endianness: .little) }
        if hasLargeOffset { buffer.writeInteger(offset, endianness: .little) }
    }

    /// From the version needed to the length of the name: the same in both headers.
    private func writeCommon(into buffer: inout ByteBuffer, zip64: Bool, largeSizes: Bool) {
        buffer.writeMultipleIntegers(
            versionNeeded(zip64: zip64), flags, method.rawValue, modifiedAt.time, modifiedAt.date, endianness: .little)
        buffer.writeMultipleIntegers(
            crc32.value, largeSizes ? .max : UInt32(compressedBytes), largeSizes ? .max : UInt32(sizeBytes),
            endianness: .little)
        buffer.writeInteger(UInt16(name.utf8.count), endianness: .little)
    }
}

/// What stands after the central directory.
struct ZipDirectoryEnd: Sendable {
    var entryCount: Int64
    var directoryBytes: Int64
    /// Where the central directory begins in the archive.
    var directoryOffset: Int64

    /// Sections 4.3.14 to 4.3.16: the Zip64 record and its locator where a field overflows, then the classic record.
    func write(into buffer: inout ByteBuffer) {
        let manyEntries = entryCount > 65_534
        let largeDirectory = directoryBytes > ZipEntry.largest32
        let largeOffset = directoryOffset > ZipEntry.largest32
        if manyEntries || largeDirectory || largeOffset {
            buffer.writeInteger(0x0606_4B50 as UInt32, endianness: .little)
            // The record's length after this field, "made by" (Unix, 4.5), version needed (4.5), two disk numbers.
            buffer.writeMultipleIntegers(
                44 as UInt64, 3 << 8 | 45 as UInt16, 45 as UInt16, 0 as UInt32, 0 as UInt32, endianness: .little)
            buffer.writeMultipleIntegers(
                entryCount, entryCount, directoryBytes, directoryOffset, endianness: .little)
            buffer.writeMultipleIntegers(
                0x0706_4B50 as UInt32, 0 as UInt32, directoryOffset + directoryBytes, 1 as UInt32, endianness: .little)
        }
        let entries = manyEntries ? .max : UInt16(entryCount)
        buffer.writeMultipleIntegers(
            0x0605_4B50 as UInt32, 0 as UInt16, 0 as UInt16, entries, entries,
            largeDirectory ? .max : UInt32(directoryBytes), largeOffset ? .max : UInt32(directoryOffset), 0 as UInt16,
            endianness: .little)
    }
}
