import ArgumentParser
import Glibc
import Host

/// A failure that ends the command with its message and exit status 1.
struct CommandFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }

    /// Runs a command's work; what it throws is printed without ceremony and becomes exit status 1.
    static func reported(_ work: () async throws -> Void) async throws {
        do {
            try await work()
        } catch let error as ExitCode {
            throw error
        } catch {
            LogOutput.write("ferry: \(error)\n", to: STDERR_FILENO)
            throw ExitCode.failure
        }
    }
}
