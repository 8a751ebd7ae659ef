import ArgumentParser
import UnixSignals

/// Ctrl-C, and the request to end, for commands that have something to clear away.
enum Interruption {
    /// Runs a command's work, and cancels it at SIGINT and SIGTERM.
    ///
    /// - Parameter work: What to run; it clears away after itself when it is cancelled.
    /// - Throws: What the work throws; exit status 130, as shells have it, when a signal came first.
    static func stops(_ work: @escaping @Sendable () async throws -> Void) async throws {
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await work()
                return true
            }
            group.addTask {
                for await _ in signals { break }
                return false
            }
            defer { group.cancelAll() }
            guard try await group.next() == false else { return }
            group.cancelAll()
            _ = await group.nextResult()
            throw ExitCode(130)
        }
    }
}
