internal import Glibc
internal import NIOCore

/// An open file descriptor that is closed with the last reference.
///
/// All calls block: they are made on a thread pool. Positions are explicit where several threads may read.
final class OpenFile: Sendable {
    let descriptor: Int32
    let path: String

    /// Opens a file; `O_CLOEXEC` always, so that no child process keeps a lock or a socket alive.
    init(_ path: String, flags: Int32, mode: mode_t = 0o600) throws {
        var descriptor: Int32
        repeat { descriptor = Glibc.open(path, flags | O_CLOEXEC, mode) } while descriptor < 0 && errno == EINTR
        guard descriptor >= 0 else { throw SystemError("open", path) }
        self.descriptor = descriptor
        self.path = path
    }

    deinit { close(descriptor) }

    func status() throws -> stat {
        var result = stat()
        guard fstat(descriptor, &result) == 0 else { throw SystemError("fstat", path) }
        return result
    }

    /// Appends all bytes at the file's own position.
    func write(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes
        while !rest.isEmpty {
            let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
            if count < 0 {
                guard errno == EINTR else { throw SystemError("write", path) }
                continue
            }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }

    func write(_ bytes: [UInt8]) throws { try bytes.withUnsafeBytes { try write($0) } }

    /// Reads at a position; fewer bytes than asked for only at the end of the file.
    func read(at offset: Int64, into target: UnsafeMutableRawBufferPointer) throws -> Int {
        var filled = 0
        while filled < target.count {
            let rest = UnsafeMutableRawBufferPointer(rebasing: target[filled...])
            let count = pread(descriptor, rest.baseAddress, rest.count, off_t(offset) + off_t(filled))
            if count == 0 { break }
            if count < 0 {
                guard errno == EINTR else { throw SystemError("read", path) }
                continue
            }
            filled += count
        }
        return filled
    }

    /// Reads at a position into a fresh buffer.
    func read(at offset: Int64, count: Int) throws -> ByteBuffer {
        var buffer = ByteBuffer()
        _ = try buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { target in
            try read(at: offset, into: UnsafeMutableRawBufferPointer(rebasing: target.prefix(count)))
        }
        return buffer
    }

    /// Appends a range of another file inside the kernel, which shares the blocks where the filesystem can.
    func append(contentsOf source: OpenFile, from start: Int64, count: Int64) throws {
        guard let copyFileRange = GNUFunctions.copyFileRange else {
            return try appendThroughMemory(source, from: start, count: count)
        }
        var offset = start
        var left = count
        while left > 0 {
            let copied = copyFileRange(source.descriptor, &offset, descriptor, nil, Int(min(left, 1 << 26)), 0)
            if copied < 0 {
                if errno == EINTR { continue }
                guard [EXDEV, EINVAL, ENOSYS, EOPNOTSUPP].contains(errno) else {
                    throw SystemError("copy_file_range", path)
                }
                return try appendThroughMemory(source, from: offset, count: left)
            }
            guard copied > 0 else { throw EmulatorError(.file, "\(source.path) is shorter than expected.") }
            left -= Int64(copied)
        }
    }

    private func appendThroughMemory(_ source: OpenFile, from start: Int64, count: Int64) throws {
        var offset = start
        let end = start + count
        while offset < end {
            let chunk = try source.read(at: offset, count: Int(min(end - offset, 1 << 20)))
            guard chunk.readableBytes > 0 else {
                throw EmulatorError(.file, "\(source.path) is shorter than expected.")
            }
            try chunk.withUnsafeReadableBytes { try write($0) }
            offset += Int64(chunk.readableBytes)
        }
    }
}
