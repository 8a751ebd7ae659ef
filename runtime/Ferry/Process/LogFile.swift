import FunctionKit
import Glibc
import Host
import NIOCore
import NIOPosix
import Synchronization

/// The log of this process in the data folder, for `ferry logs`: `log/<start>-<pid>.jsonl` and, before it, `….1.jsonl`.
///
/// Loggers only put lines into a buffer; a thread of its own writes what has gathered, every 20 ms at most. Lines for
/// which the buffer has no room are dropped and counted; the count is written as a line of its own. Each process has its
/// own files, so no line is ever torn by another, and holds a lock by which others see that it lives. Of processes that
/// have ended, the files of the latest eight stay.
final class LogFile: Sendable {
    private struct State {
        var pending: [UInt8] = []
        var droppedCount = 0
        var isWriting = false
        var isClosed = false
    }

    /// The most bytes that wait to be written.
    private let pendingLimit: Int
    private let state = Mutex(State())
    private let pool = NIOThreadPool(numberOfThreads: 1)
    private let writer: Mutex<LogFileWriter>

    /// Makes the log; nothing touches the file system before the first line.
    ///
    /// - Parameters:
    ///   - dataFolder: The data folder.
    ///   - keptBytes: The size of both files together.
    ///   - pendingLimit: The most bytes that wait to be written.
    init(dataFolder: String, keptBytes: Int, pendingLimit: Int = 4 << 20) {
        self.pendingLimit = pendingLimit
        // At half of what is kept the file is made the older one.
        writer = Mutex(
            LogFileWriter(
                folder: LogFolder.path(in: dataFolder), name: "\(Timestamp.now.milliseconds)-\(getpid())",
                rotationBytes: keptBytes / 2))
        pool.start()
    }

    /// Takes one line, without its end; does not block.
    func append(_ line: ByteBuffer) {
        let mustWrite = state.withLock { state in
            guard !state.isClosed else { return false }
            guard state.pending.count + line.readableBytes < pendingLimit else {
                state.droppedCount += 1
                return false
            }
            state.pending.append(contentsOf: line.readableBytesView)
            state.pending.append(UInt8(ascii: "\n"))
            defer { state.isWriting = true }
            return !state.isWriting
        }
        guard mustWrite else { return }
        pool.submit { [self] state in
            guard state == .active else { return }
            usleep(20_000)
            write()
        }
    }

    /// Writes what is left, and takes no more. Blocks on the file system.
    func close() {
        state.withLock { $0.isClosed = true }
        write()
        pool.shutdownGracefully { _ in }
    }

    private func write() {
        writer.withLock { writer in
            while true {
                let (bytes, droppedCount) = state.withLock { state in
                    let taken = (state.pending, state.droppedCount)
                    state.pending = []
                    state.droppedCount = 0
                    if taken.0.isEmpty { state.isWriting = false }
                    return taken
                }
                if droppedCount > 0 { writer.write(Array(Self.note(droppedCount).readableBytesView)) }
                guard !bytes.isEmpty else { return }
                writer.write(bytes)
            }
        }
    }

    private static func note(_ droppedCount: Int) -> ByteBuffer {
        var line = LogLine.json(level: "warning", message: "log lines were dropped", ["count": "\(droppedCount)"])
        line.writeStaticString("\n")
        return line
    }
}
