import Checksum
import FunctionKit
import Glibc
import NIOCore
import ZipArchive

/// A file that takes its name only when size and CRC-32 are what was announced; until then it is `<name>.part`.
///
/// What is there already and is no regular file, such as a pipe or `/dev/null`, is written to as it is.
final class VerifiedFile {
    private(set) var sizeBytes: Int64 = 0
    private let path: String
    private let temporaryPath: String
    private let isRenamed: Bool
    private var descriptor: CInt
    private var crc = CRC32()

    init(path: String) throws {
        self.path = path
        var status = stat()
        isRenamed = stat(path, &status) != 0 || status.st_mode & S_IFMT == S_IFREG
        temporaryPath = isRenamed ? path + ".part" : path
        descriptor = open(temporaryPath, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw CommandFailure("\(temporaryPath) cannot be written: \(String(cString: strerror(errno)))")
        }
    }

    deinit { discard() }

    /// Says at once what would only be found out when the archive is ready.
    ///
    /// - Parameter path: The path that the file will have.
    /// - Throws: ``CommandFailure`` when nothing can be written there.
    static func check(path: String) throws {
        var status = stat()
        let exists = stat(path, &status) == 0
        guard !exists || status.st_mode & S_IFMT != S_IFDIR else {
            throw CommandFailure("\(path) is a folder; name a file in it")
        }
        let folder = path.lastIndex(of: "/").map { path[...$0] } ?? "."
        let isRegular = !exists || status.st_mode & S_IFMT == S_IFREG
        guard access(isRegular ? String(folder) : path, W_OK) == 0 else {
            throw CommandFailure("\(path) cannot be written: \(String(cString: strerror(errno)))")
        }
    }

    func write(_ chunk: ByteBuffer) throws {
        crc.update(chunk)
        try chunk.withUnsafeReadableBytes { bytes in
            var offset = 0
            while offset < bytes.count {
                let written = Glibc.write(descriptor, bytes.baseAddress.map { $0 + offset }, bytes.count - offset)
                if written < 0, errno == EINTR { continue }
                guard written > 0 else {
                    throw CommandFailure("\(temporaryPath) cannot be written: \(String(cString: strerror(errno)))")
                }
                offset += written
            }
        }
        sizeBytes += Int64(chunk.readableBytes)
    }

    /// Checks the whole and gives the file its name. On failure nothing is left behind.
    func commit(sizeBytes expectedSize: Int64, crc32 expectedChecksum: String) throws {
        guard sizeBytes == expectedSize else {
            throw CommandFailure("the archive has \(sizeBytes) bytes where \(expectedSize) were announced")
        }
        let hex = String(crc.value, radix: 16)
        let checksum = String(repeating: "0", count: 8 - hex.count) + hex
        guard checksum == expectedChecksum.lowercased() else {
            throw CommandFailure("the archive's CRC-32 is \(checksum) where \(expectedChecksum) was announced")
        }
        guard !isRenamed || (fsync(descriptor) == 0 && rename(temporaryPath, path) == 0) else {
            throw CommandFailure("\(path) cannot be written: \(String(cString: strerror(errno)))")
        }
        close(descriptor)
        descriptor = -1
    }

    private func discard() {
        guard descriptor >= 0 else { return }
        close(descriptor)
        if isRenamed { unlink(temporaryPath) }
        descriptor = -1
    }
}
