internal import Glibc

/// Runs a program to its end and collects what it prints. Blocks the calling thread.
///
/// The program gets a process group of its own, so that a deadline also ends what it started, and none of this
/// process's ignored or blocked signals.
struct Subprocess {
    /// How the program ended.
    enum Ending: Hashable {
        case exited(CInt)
        case signalled(CInt)
        case timedOut
        case cancelled
    }

    let ending: Ending
    /// What it printed to standard output and standard error, in that order of writing; the first `outputLimit` bytes.
    let output: String

    /// How often a wait looks whether it was cancelled, in milliseconds.
    private static let pollMs: CInt = 50

    typealias AddCloseFrom =
        @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, CInt) -> CInt

    /// glibc 2.34: the child closes all descriptors from one on. Swift's Glibc module does not show it.
    static let addCloseFrom: AddCloseFrom? = dlsym(nil, "posix_spawn_file_actions_addclosefrom_np").map {
        unsafeBitCast($0, to: AddCloseFrom.self)
    }

    /// Runs a program.
    ///
    /// - Parameters:
    ///   - arguments: The program's path and its arguments.
    ///   - deadline: The time after which it is killed.
    ///   - outputLimit: How much of its output is kept, in bytes; the rest is read and dropped.
    ///   - cancellation: Kills it when cancelled.
    /// - Returns: Its ending and output.
    /// - Throws: ``LoaderError`` with code `.system` when it cannot be started.
    static func run(
        _ arguments: [String], deadline: Duration, outputLimit: Int, cancellation: Cancellation
    ) throws(LoaderError) -> Subprocess {
        var ends: [CInt] = [-1, -1]
        // Not a pipe: only sockets are made with close-on-exec in one step, so that no other child gets an end.
        let type = CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, type, 0, &ends) == 0 else {
            throw FileSystem.failure("make a socket pair for", arguments[0])
        }
        defer { close(ends[0]) }
        let spawned = spawn(arguments, output: ends[1])
        close(ends[1])
        guard case .success(let child) = spawned else {
            guard case .failure(let error) = spawned else { preconditionFailure("a result is one of two") }
            throw error
        }

        let end = ContinuousClock.now + deadline
        var output: [UInt8] = []
        var forced: Ending?
        var chunk = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            if forced == nil {
                if cancellation.isCancelled { forced = .cancelled }
                if ContinuousClock.now >= end { forced = .timedOut }
                if forced != nil { kill(-child, SIGKILL) }
            }
            var descriptor = pollfd(fd: ends[0], events: Int16(POLLIN), revents: 0)
            guard poll(&descriptor, 1, pollMs) > 0 else { continue }
            let count = read(ends[0], &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            output.append(contentsOf: chunk[..<min(count, outputLimit - output.count)])
        }
        // The other end is closed once the program and all that it started have ended, so this wait is short.
        var status: CInt = 0
        while waitpid(child, &status, 0) < 0, errno == EINTR {}
        let signal = status & 0x7F
        let ending = forced ?? (signal == 0 ? .exited((status >> 8) & 0xFF) : .signalled(signal))
        return Subprocess(ending: ending, output: String(decoding: output, as: UTF8.self))
    }

    /// Has a program start with the signals' defaults, none of them blocked, in a process group of its own.
    static func detach(_ attributes: inout posix_spawnattr_t) {
        var all = sigset_t()
        var none = sigset_t()
        sigfillset(&all)
        sigemptyset(&none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP))
    }

    private static func spawn(_ arguments: [String], output: CInt) -> Result<pid_t, LoaderError> {
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        posix_spawn_file_actions_adddup2(&actions, output, 2)
        // NIO opens sockets without close-on-exec: a compiler would hold clients' connections and listeners open.
        _ = addCloseFrom?(&actions, 3)
        detach(&attributes)

        var argv: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
        argv.append(nil)
        defer { for pointer in argv { free(pointer) } }
        var child: pid_t = 0
        let code = posix_spawn(&child, arguments[0], &actions, &attributes, argv, environ)
        guard code == 0 else {
            let reason = String(cString: strerror(code))
            return .failure(LoaderError(.system, "cannot run \(arguments[0]): \(reason)"))
        }
        return .success(child)
    }
}
