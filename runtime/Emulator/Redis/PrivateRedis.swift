// The redis-server of a data directory. It belongs to the directory, not to a process:
//
//   each host that uses it holds a shared lock on `users.lock` for as long as it lives; the kernel drops it on kill -9.
//   To join, a host takes `start.lock`, asks the socket for PONG, starts a server where none answers, waits until it
//   does, and lets go. A server left by hosts that were killed answers, and so is adopted.
//   To leave, it takes `start.lock`, drops its own share and tries for an exclusive lock on `users.lock` without waiting:
//   with it, it was the last, and ends the server. As joining needs `start.lock` too, nobody can join in between.
//
// A server whose hosts were all killed goes on running until a host comes and leaves in order: its data stays safe, and
// the next start is instant. Rejected: ending it with its parent (PR_SET_PDEATHSIG follows the thread that forked, and
// the parent is not the last user), and a pid file as the lock (a pid says nothing after a crash).

internal import Glibc
public import Logging
internal import NIOCore
internal import NIOPosix
public import ServiceLifecycle
internal import Synchronization

/// The private redis-server of a data directory, shared by all hosts that use the directory.
///
/// As a service it watches the server and starts it again when it died, and leaves it at shutdown, so it comes first in
/// its group. Whoever does not run it as a service calls ``stop()``.
public final class PrivateRedis: Service {
    private struct State {
        var child: ChildProcess?
        var hasLeft = false
    }

    private let place: RedisPlace
    private let binary: String?
    private let logger: Logger
    private let users: LockFile
    private let starting: LockFile
    private let state = Mutex(State())
    private let pool = NIOThreadPool.singleton

    /// The server's URL, `unix:` and the path of its socket.
    public var url: String { "unix:\(place.socket)" }

    private init(place: RedisPlace, binary: String?, logger: Logger) throws {
        self.place = place
        self.binary = binary
        self.logger = logger
        users = try LockFile(place.users)
        starting = try LockFile(place.start)
    }

    /// Uses the directory's server, and starts it when it does not run.
    ///
    /// - Parameters:
    ///   - dataFolder: The data directory; made where it is missing. The server's files lie in its folder `redis`.
    ///   - binary: The path of `redis-server`, or `nil` to look for it in `PATH`.
    ///   - logger: Told whether the server was started or found running.
    /// - Returns: A reference that holds the server until it is stopped.
    /// - Throws: ``EmulatorError``; nothing is left running that was not running before.
    public static func start(dataFolder: String, binary: String? = nil, logger: Logger) async throws -> PrivateRedis {
        let redis = try await NIOThreadPool.singleton.runIfActive {
            do {
                let place = try RedisPlace(dataFolder: dataFolder)
                return try PrivateRedis(place: place, binary: binary, logger: logger)
            } catch let error as SystemError {
                throw EmulatorError(.file, "The data folder \(dataFolder) cannot be used.", cause: error)
            }
        }
        try await redis.withStartLock {
            guard try await redis.pool.runIfActive({ try redis.users.tryLock(.shared) }) else {
                throw EmulatorError(.locked, "Another process holds \(redis.place.users) for itself.")
            }
            do {
                try await redis.ensureRunning()
            } catch {
                redis.users.unlock()
                throw error
            }
        }
        return redis
    }

    /// The URL of the directory's server if it runs; it is not started, and nothing holds it.
    ///
    /// - Parameter dataFolder: The data directory; not made where it is missing.
    /// - Returns: The URL, or `nil` when no server answers there.
    /// - Throws: ``EmulatorError`` when the folder cannot be used.
    public static func runningURL(dataFolder: String) async throws -> String? {
        try await NIOThreadPool.singleton.runIfActive {
            do {
                guard try Folder.status(dataFolder + "/redis")?.isFolder == true else { return nil }
                let socket = try RedisPlace(dataFolder: dataFolder).socket
                return RedisProbe.send(["PING"], to: socket) == .absent ? nil : "unix:\(socket)"
            } catch let error as SystemError {
                throw EmulatorError(.file, "The data folder \(dataFolder) cannot be used.", cause: error)
            }
        }
    }

    /// Watches the server until shutdown, starts it again when it died, and leaves it then.
    public func run() async throws {
        await cancelWhenGracefulShutdown { await self.watch() }
        // The task may be cancelled by now, and leaving takes several steps that must all be made. Owned by this call,
        // ends by the deadlines in `stop()`.
        await Task { await self.stop() }.value
    }

    private func watch() async {
        while !Task.isCancelled {
            do {
                try await Task.sleep(for: .seconds(1))
                guard try await send("PING") == .absent else { continue }
                logger.warning("The private redis-server is gone; starting it again.")
                try await withStartLock { try await self.ensureRunning() }
            } catch is CancellationError {
                return
            } catch {
                logger.error("The private redis-server could not be started again.", metadata: ["error": "\(error)"])
            }
        }
    }

    /// Lets go of the server and, as its last user, ends it. Every call but the first does nothing.
    ///
    /// - Cancellation: the server is then left running, and the next host adopts it.
    public func stop() async {
        guard
            state.withLock({ state in
                defer { state.hasLeft = true }
                return !state.hasLeft
            })
        else { return }
        do {
            try await withStartLock {
                users.unlock()
                guard try await pool.runIfActive({ try self.users.tryLock(.exclusive) }) else {
                    return logger.debug("Other hosts go on using the private redis-server.")
                }
                defer { users.unlock() }
                try await endServer()
                logger.debug("The private redis-server has ended.")
            }
        } catch {
            users.unlock()
            logger.warning("The private redis-server was left running.", metadata: ["error": "\(error)"])
        }
    }

    // MARK: Under the start lock

    private func withStartLock<Result: Sendable>(_ body: () async throws -> Result) async throws -> Result {
        // Longer than a start or an end may take in another host.
        try await starting.lock(.exclusive, within: .seconds(60), pool: pool)
        defer { starting.unlock() }
        return try await body()
    }

    private func ensureRunning() async throws {
        switch try await send("PING") {
        case .reply("PONG"):
            try await checkVersion()
            logger.debug("Using the redis-server that runs already.", metadata: ["url": "\(url)"])
            return
        case .absent: break
        case .reply, .silent, .closed:
            // It is loading, or busy, and answers later; or it is about to end.
            if try await waitUntilReady(child: nil) { return try await checkVersion() }
        }
        // The one that died, if it was this host's own, is still to be reaped.
        let former = state.withLock { $0.child }
        if let former { _ = try await pool.runIfActive { former.hasEnded() } }
        try await endUnreachable(former?.identifier)
        let child = try await spawn()
        state.withLock { $0.child = child }
        do {
            _ = try await waitUntilReady(child: child)
            try await checkVersion()
        } catch {
            // The error is what counts; a server that never became ready has nothing to lose.
            kill(child.identifier, SIGKILL)
            _ = try? await waitForEnd(of: child.identifier, within: .seconds(5))
            throw error
        }
        logger.info("Started the private redis-server.", metadata: ["url": "\(url)", "pid": "\(child.identifier)"])
    }

    private func spawn() async throws -> ChildProcess {
        let place = place
        let binary = binary
        return try await pool.runIfActive {
            let remedy =
                "Install it with 'apt-get install redis-server', or set redis.url to a server of your own."
            guard let program = binary ?? ChildProcess.find(["redis-server", "valkey-server"]) else {
                throw EmulatorError(.missingBinary, "redis-server is not installed. \(remedy)")
            }
            guard access(program, X_OK) == 0 else {
                throw EmulatorError(.missingBinary, "\(program) is no program of redis-server. \(remedy)")
            }
            if let status = try Folder.status(place.log), status.st_size > 8 << 20 {
                rename(place.log, place.log + ".1")
            }
            // A socket file without a server behind it would make the bind fail.
            unlink(place.socket)
            return try ChildProcess(path: program, arguments: PrivateRedis.arguments(place), logPath: place.log)
        }
    }

    /// The append-only file is synced every second: what a killed process wrote is safe in the kernel at once, and what
    /// must survive a loss of power is in the history, which syncs each commit.
    static func arguments(_ place: RedisPlace) -> [String] {
        [
            "--port", "0", "--unixsocket", place.socket, "--unixsocketperm", "700", "--dir", place.folder,
            "--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--maxmemory-policy", "noeviction",
            "--daemonize", "no", "--pidfile", place.processIdentifierFile, "--logfile", place.log,
        ]
    }

    /// - Returns: Whether the server is ready; `false` when one that was found there has gone. A child that ends throws.
    private func waitUntilReady(child: ChildProcess?) async throws -> Bool {
        let began = ContinuousClock.now
        var limit = Duration.seconds(10)
        while true {
            switch try await send("PING") {
            case .reply("PONG"): return true
            case .absent where child == nil: return false
            case .reply(let text) where text.hasPrefix("-LOADING"): limit = .seconds(120)
            case .reply(let text) where text.hasPrefix("-"):
                throw EmulatorError(.startFailed, "The redis-server on \(place.socket) answers PING with '\(text)'.")
            case .reply, .absent, .silent, .closed: break
            }
            if let child, try await pool.runIfActive({ child.hasEnded() }) {
                throw EmulatorError(.startFailed, "redis-server ended at once. \(await logTail())")
            }
            guard ContinuousClock.now - began < limit else {
                throw EmulatorError(.startFailed, "redis-server did not answer within \(limit). \(await logTail())")
            }
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    private func checkVersion() async throws {
        guard let version = try await info("redis_version") else { return }
        guard let major = Int(version.prefix { $0 != "." }), major < 5 else { return }
        throw EmulatorError(
            .unsupportedVersion,
            "redis-server \(version) is too old: 5.0 is the least, 6.2 or newer is advised. "
                + "Install a newer one, or set redis.url to a server of your own.")
    }

    private func endServer() async throws {
        let identifier =
            if let told = try await info("process_id") { pid_t(told) } else { try await recordedIdentifier() }
        guard let identifier, isOurs(identifier) else { return }
        _ = try await send("SHUTDOWN")
        if try await waitForEnd(of: identifier, within: .seconds(20)) { return }
        logger.warning("The private redis-server does not end; sending signals.")
        try await end(identifier, bySignals: [(SIGTERM, .seconds(5)), (SIGKILL, .seconds(5))])
    }

    /// Ends a server that lives and cannot be reached any more, since its socket file was removed, or that is about to
    /// end: two servers must never write to the same files.
    private func endUnreachable(_ former: pid_t?) async throws {
        for identifier in Set([try await recordedIdentifier(), former].compactMap(\.self)) where isOurs(identifier) {
            logger.warning(
                "The private redis-server lives but cannot be reached; ending it.", metadata: ["pid": "\(identifier)"])
            try await end(identifier, bySignals: [(SIGTERM, .seconds(10)), (SIGKILL, .seconds(5))])
            guard !isOurs(identifier) else {
                throw EmulatorError(
                    .startFailed, "The redis-server with pid \(identifier) cannot be reached, and does not end.")
            }
        }
    }

    private func end(_ identifier: pid_t, bySignals signals: [(signal: CInt, limit: Duration)]) async throws {
        for (signal, limit) in signals where isOurs(identifier) {
            kill(identifier, signal)
            if try await waitForEnd(of: identifier, within: limit) { return }
        }
    }

    /// The process id that the server wrote when it started; it may have ended since.
    private func recordedIdentifier() async throws -> pid_t? {
        let bytes = try await pool.runIfActive { [place] in try Folder.contents(of: place.processIdentifierFile) }
        return bytes.flatMap { pid_t(String(decoding: $0, as: UTF8.self).filter(\.isNumber)) }
    }

    /// Whether the process is this directory's server, and not one that was given the same number since.
    private func isOurs(_ identifier: pid_t) -> Bool {
        ChildProcess.isRunning(identifier, commandLineContains: [place.socket])
    }

    private func waitForEnd(of identifier: pid_t, within limit: Duration) async throws -> Bool {
        let deadline = ContinuousClock.now + limit
        let child = state.withLock { $0.child }
        while ContinuousClock.now < deadline {
            let hasEnded = try await pool.runIfActive {
                if let child, child.identifier == identifier { return child.hasEnded() }
                return !self.isOurs(identifier)
            }
            if hasEnded { return true }
            try await Task.sleep(for: .milliseconds(10))
        }
        return false
    }

    // MARK: Asking

    private func send(_ arguments: String...) async throws -> RedisProbe.Answer {
        let socket = place.socket
        return try await pool.runIfActive { RedisProbe.send(arguments, to: socket) }
    }

    /// A field of the server's `INFO server`.
    private func info(_ field: String) async throws -> String? {
        guard case .reply(let text) = try await send("INFO", "server") else { return nil }
        return text.split(whereSeparator: \.isNewline).first { $0.hasPrefix(field + ":") }
            .map { String($0.dropFirst(field.count + 1)) }
    }

    private func logTail() async -> String {
        let path = place.log
        let tail = try? await pool.runIfActive { () throws -> String in
            let file = try OpenFile(path, flags: O_RDONLY)
            let size = Int64(try file.status().st_size)
            let text = String(buffer: try file.read(at: max(0, size - 4096), count: 4096))
            return text.split(whereSeparator: \.isNewline).suffix(8).joined(separator: "\n")
        }
        return "The end of \(path):\n\(tail ?? "(empty)")"
    }
}
