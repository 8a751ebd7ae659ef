import ArgumentParser
import Emulator
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
            LogOutput.write("ferry: \(text(of: error))\n", to: STDERR_FILENO)
            throw ExitCode.failure
        }
    }

    /// What an error says, with what to do where only the command line knows it.
    private static func text(of error: any Error) -> String {
        switch error {
        case let error as EmulatorError where error.code == .addressInUse:
            "\(error.message) The key is storage.port; 0 lets the system choose."
        case let error as ListenError:
            "\(error) Choose another address with --listen, or with http.listen in the configuration."
        default: "\(error)"
        }
    }
}
