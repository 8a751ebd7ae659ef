internal import Glibc
internal import NIOPosix

/// An advisory lock (flock) on a file; the kernel releases it when the holder dies, however it dies.
///
/// Each instance is an open file of its own, so two instances exclude each other within one process too.
final class LockFile: Sendable {
    enum Kind {
        case shared
        case exclusive
    }

    private let file: OpenFile

    init(_ path: String) throws {
        file = try OpenFile(path, flags: O_RDWR | O_CREAT)
    }

    /// Takes the lock, or changes its kind, if that is possible at once.
    func tryLock(_ kind: Kind) throws -> Bool {
        let operation = (kind == .shared ? LOCK_SH : LOCK_EX) | LOCK_NB
        while flock(file.descriptor, operation) != 0 {
            if errno == EWOULDBLOCK { return false }
            guard errno == EINTR else { throw SystemError("flock", file.path) }
        }
        return true
    }

    /// Takes the lock within a time.
    ///
    /// - Throws: ``EmulatorError`` with code `.locked` after the deadline; `CancellationError`.
    func lock(_ kind: Kind, within limit: Duration, pool: NIOThreadPool) async throws {
        let deadline = ContinuousClock.now + limit
        while try await !pool.runIfActive({ try self.tryLock(kind) }) {
            guard ContinuousClock.now < deadline else {
                throw EmulatorError(
                    .locked, "Another process has held \(file.path) for \(limit); it starts or stops the same server.")
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    func unlock() { flock(file.descriptor, LOCK_UN) }
}
