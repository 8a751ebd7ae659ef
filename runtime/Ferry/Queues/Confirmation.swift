import ArgumentParser
import Glibc

/// Asks before something is thrown away.
enum Confirmation {
    /// Returns when the answer is yes.
    ///
    /// - Parameters:
    ///   - question: What is to be answered with yes or no.
    ///   - isGiven: Whether the answer was given on the command line.
    /// - Throws: Exit status 1 for any other answer, 64 when there is no terminal to ask at.
    static func ask(_ question: String, isGiven: Bool) throws {
        if isGiven { return }
        guard isatty(STDIN_FILENO) == 1, isatty(STDERR_FILENO) == 1 else {
            Terminal.errors.line("ferry: there is no terminal to ask at; give --yes")
            throw ExitCode.validationFailure
        }
        LogOutput.write("\(question) [y/N] ", to: STDERR_FILENO)
        guard let answer = readLine()?.lowercased(), answer == "y" || answer == "yes" else {
            throw CommandFailure("nothing was removed")
        }
    }
}
