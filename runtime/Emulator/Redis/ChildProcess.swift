internal import Glibc
internal import NIOCore

/// A server process that outlives the terminal's signals: started in a session of its own, so that Ctrl-C reaches the
/// host alone, which drains before it stops its servers.
struct ChildProcess: Sendable {
    let identifier: pid_t

    /// Starts a program. Blocks for the time of the spawn.
    ///
    /// - Parameters:
    ///   - path: The program's path.
    ///   - arguments: Its arguments, the program's name not among them.
    ///   - logPath: Where its output is appended.
    /// - Throws: ``SystemError``; nothing has been started then.
    init(path: String, arguments: [String], logPath: String) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, logPath, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        // Locks and sockets are opened with O_CLOEXEC; this is for descriptors that some library opened without.
        _ = GNUFunctions.addCloseFrom?(&actions, 3)

        // A host may ignore or block signals; the server must not inherit that.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var all = sigset_t()
        var none = sigset_t()
        sigfillset(&all)
        sigemptyset(&none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | GNUFunctions.spawnInSession))

        // Only what a server needs of the environment: the host's holds secrets.
        let names = ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH"]
        let environment = names.compactMap { (name: String) -> String? in
            getenv(name).map { "\(name)=\(String(cString: $0))" }
        }
        let words = ([path] + arguments).map { strdup($0) } + [nil]
        let variables = environment.map { strdup($0) } + [nil]
        defer { for text in words + variables { free(text) } }
        var identifier: pid_t = 0
        let result = posix_spawn(&identifier, path, &actions, &attributes, words, variables)
        guard result == 0 else {
            errno = result
            throw SystemError("posix_spawn", path)
        }
        self.identifier = identifier
    }

    /// Whether the child has ended; then it is reaped, and every later call says so too. Does not block.
    func hasEnded() -> Bool {
        var status: Int32 = 0
        return waitpid(identifier, &status, WNOHANG) != 0
    }

    /// The first program of these names in the folders of `PATH` and the usual ones.
    static func find(_ names: [String]) -> String? {
        let path = getenv("PATH").map { String(cString: $0) } ?? ""
        let folders = path.split(separator: ":").map(String.init) + ["/usr/local/bin", "/usr/bin", "/usr/local/sbin"]
        for name in names {
            for folder in folders where access("\(folder)/\(name)", X_OK) == 0 { return "\(folder)/\(name)" }
        }
        return nil
    }

    /// Whether a process lives and was started with all of these words in its command line.
    static func isRunning(_ identifier: pid_t, commandLineContains words: [String]) -> Bool {
        // Files under /proc report no size, and that of a process that has ended but is not reaped is empty.
        guard let file = try? OpenFile("/proc/\(identifier)/cmdline", flags: O_RDONLY),
            let bytes = try? file.read(at: 0, count: 1 << 16), bytes.readableBytes > 0
        else { return false }
        let line = String(buffer: bytes)
        return words.allSatisfy { line.contains($0) }
    }
}
