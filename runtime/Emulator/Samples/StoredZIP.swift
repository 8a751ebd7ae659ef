internal import Checksum
internal import ObjectStorage

/// A ZIP archive of one stored file.
///
/// - Source: APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16.
enum StoredZIP {
    static func bytes(name: String, content: [UInt8]) -> [UInt8] {
        var crc32 = CRC32()
        content.withUnsafeBytes { crc32.update($0) }
        // What the local header and the central directory have in common: version 1.0, no flags, stored, the first
        // day that the format knows, checksum, sizes, lengths of the name and of nothing.
        var common: [UInt8] = []
        for number in [10, 0, 0, 0, 0x21] { common.append16(number) }
        for number in [Int(crc32.value), content.count, content.count] { common.append32(number) }
        for number in [name.utf8.count, 0] { common.append16(number) }

        var bytes: [UInt8] = Array("PK\u{3}\u{4}".utf8) + common + Array(name.utf8) + content
        let directory = bytes.count
        bytes += Array("PK\u{1}\u{2}".utf8)
        // Made on Unix; then no comment, first disk, binary, a file with permissions 0644.
        bytes.append16(3 << 8 | 10)
        bytes += common
        for number in [0, 0, 0] { bytes.append16(number) }
        for number in [0o100_644 << 16, 0] { bytes.append32(number) }
        bytes += Array(name.utf8)
        let directoryBytes = bytes.count - directory
        bytes += Array("PK\u{5}\u{6}".utf8)
        for number in [0, 0, 1, 1] { bytes.append16(number) }
        for number in [directoryBytes, directory] { bytes.append32(number) }
        bytes.append16(0)
        return bytes
    }
}
