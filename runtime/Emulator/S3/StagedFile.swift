internal import Checksum
internal import Glibc
internal import NIOCore
internal import ObjectStorage
internal import Synchronization

/// A file that is being written out of sight, with its MD5 and CRC-32 from the same pass. All calls block.
///
/// It is locked as long as it is open, so that what a killed process left can be told from what is in use.
final class StagedFile: Sendable {
    struct Digests: Sendable, Equatable {
        let md5: [UInt8]
        let crc32: UInt32
        let sizeBytes: Int64

        var etag: String { Hexadecimal.encode(md5) }
    }

    private struct State: ~Copyable {
        var md5 = MessageDigest(.md5)
        var crc32 = CRC32()
        var sizeBytes: Int64 = 0
    }

    let file: OpenFile
    private let state: Mutex<State>

    init(folder: String) throws {
        file = try OpenFile(
            "\(folder)/\(StagedFile.randomName())", flags: O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
        state = Mutex(State())
        guard flock(file.descriptor, LOCK_EX | LOCK_NB) == 0 else { throw SystemError("flock", file.path) }
    }

    /// Removes the file, unless it has been moved to its place.
    deinit { unlink(file.path) }

    static func randomName() -> String {
        let digits = String(UInt64.random(in: 0 ... .max), radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    func append(_ bytes: UnsafeRawBufferPointer) throws {
        try state.withLock { state in
            try file.write(bytes)
            state.md5.update(bytes)
            state.crc32.update(bytes)
            state.sizeBytes += Int64(bytes.count)
        }
    }

    func append(_ buffer: ByteBuffer) throws { try buffer.withUnsafeReadableBytes { try append($0) } }

    /// The digests of all that was appended; to be called once.
    func finish() -> Digests {
        state.withLock { state in
            var md5 = MessageDigest(.md5)
            swap(&md5, &state.md5)
            return Digests(md5: md5.finish(), crc32: state.crc32.value, sizeBytes: state.sizeBytes)
        }
    }

    /// Gives the file the time of now, to the nanosecond as far as the filesystem keeps it.
    func stamp() throws -> Generation {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        guard futimens(file.descriptor, [now, now]) == 0 else { throw SystemError("futimens", file.path) }
        return Generation(try file.status())
    }
}

extension Generation {
    init(_ status: stat) {
        self.init(modifiedNanoseconds: status.modifiedNanoseconds, sizeBytes: Int64(status.st_size))
    }
}
