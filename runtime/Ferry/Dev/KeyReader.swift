import Emulator
import Glibc

/// Reads single keys from the terminal.
enum KeyReader {
    /// Reads until cancelled or until there is no more input. Without a terminal it returns at once.
    ///
    /// - Parameter tell: Told of each key, on the reader's thread.
    /// - Throws: That there is no thread for it.
    static func run(_ tell: @escaping @Sendable (Character) -> Void) async throws {
        guard RawTerminal.enter() else { return }
        defer { RawTerminal.leave() }
        try await BlockingLoop.run { isOver in
            var bytes = [UInt8](repeating: 0, count: 64)
            while !isOver() {
                var entry = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
                guard poll(&entry, 1, BlockingLoop.waitMs) > 0, tcgetpgrp(STDIN_FILENO) == getpgrp() else { continue }
                let count = read(STDIN_FILENO, &bytes, bytes.count)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return }
                for byte in bytes[..<count] { tell(Character(UnicodeScalar(byte))) }
            }
        }
    }
}
