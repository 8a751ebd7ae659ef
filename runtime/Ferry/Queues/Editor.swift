import ArgumentParser
import BullQueue
import Glibc
import NIOPosix

/// The editor of the person at the terminal.
enum Editor {
    /// Opens a JSON text in the editor, and gives it back as it was saved.
    ///
    /// - Throws: ``CommandFailure`` when the editor fails or what was saved is not JSON: its file is kept then, and named.
    ///   Exit status 64 without a terminal.
    static func edit(_ text: String) async throws -> String {
        guard isatty(STDIN_FILENO) == 1, isatty(STDOUT_FILENO) == 1 else {
            Terminal.errors.line("ferry: there is no terminal for an editor; give the data with -d")
            throw ExitCode.validationFailure
        }
        return try await NIOThreadPool.singleton.runIfActive { try run(on: text) }
    }

    private static func run(on text: String) throws -> String {
        let variables: [String] = ["VISUAL", "EDITOR"]
        let editor = variables.compactMap { getenv($0).map { String(cString: $0) } }.first { !$0.isEmpty }
        var template = Array("/tmp/ferry-job-XXXXXX.json".utf8CString)
        let descriptor = mkstemps(&template, 5)
        let path = template.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
        guard descriptor >= 0 else {
            throw CommandFailure("\(path) cannot be made: \(String(cString: strerror(errno)))")
        }
        LogOutput.write(text + "\n", to: descriptor)
        close(descriptor)
        // The shell, because the variable may hold arguments; the path is an argument of its own.
        let command = "\(editor ?? "vi") \"$1\""
        guard try status(of: ["/bin/sh", "-c", command, "sh", path]) == 0 else {
            throw CommandFailure("the editor failed; the text is in \(path)")
        }
        var edited = try Payload.file(path)[...]
        while edited.last?.isNewline == true { edited = edited.dropLast() }
        guard BullQueueControl.isJSON(String(edited)) else {
            throw CommandFailure("what was saved is not JSON; it is in \(path)")
        }
        unlink(path)
        return String(edited)
    }

    /// Runs a program at the terminal, and waits for its end as long as the person takes.
    private static func status(of arguments: [String]) throws -> CInt {
        var child = pid_t()
        var words = arguments.map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        guard posix_spawn(&child, arguments[0], nil, nil, &words, environ) == 0 else {
            throw CommandFailure("\(arguments[0]) could not be started")
        }
        var status: CInt = 0
        while waitpid(child, &status, 0) < 0 {
            guard errno == EINTR else { return -1 }
        }
        return status
    }
}
