internal import Glibc
internal import NIOPosix
internal import Synchronization

/// Starts functions' processes by `posix_spawn(3)`: this program again, as `ferry serve-function`.
///
/// All come from one thread that lives as long as this: a child asks the kernel to be killed when the thread that made
/// it ends (`PR_SET_PDEATHSIG`, `prctl(2)`), so none outlives a supervisor that was killed.
public final class SpawnLauncher: ProcessLauncher {
    /// The descriptors of a child: its receipts, then its links.
    public static let firstDescriptor: CInt = 3

    private let arguments: [String]
    private let environment: [String]
    private let thread = NIOThreadPool(numberOfThreads: 1)
    /// The children that have not been reaped: a signal to any other number might reach a stranger.
    private let children = Mutex<Set<Int32>>([])

    /// Makes a launcher.
    ///
    /// - Parameters:
    ///   - arguments: The program's name and the arguments that all functions share.
    ///   - environment: The variables that replace those of this process's environment.
    public init(arguments: [String], environment: [String: String]) {
        self.arguments = arguments
        var variables: [String] = []
        var next = environ
        while let variable = next.pointee {
            let text = String(cString: variable)
            let name = text.prefix { $0 != "=" }
            if environment[String(name)] == nil { variables.append(text) }
            next += 1
        }
        self.environment = variables + environment.map { "\($0.key)=\($0.value)" }
        thread.start()
    }

    /// Ends the thread, and with it what children are left.
    public func shutDown() async throws { try await thread.shutdownGracefully() }

    func launch(
        _ order: ProcessOrder, started: @escaping @Sendable (Int32) -> Void,
        ended: @escaping @Sendable (ProcessEnding) -> Void
    ) {
        thread.submit { state in
            guard state == .active else {
                for descriptor in order.links { close(descriptor) }
                return ended(.notStarted("the host shuts down"))
            }
            let result = self.children.withLock { children in
                let result = self.spawn(order)
                if case .success(let pid) = result { children.insert(pid) }
                return result
            }
            for descriptor in order.links { close(descriptor) }
            switch result {
            case .failure(let error): ended(.notStarted("\(error)"))
            case .success(let pid):
                started(pid)
                if !PoolThread.start({ ended(self.wait(pid)) }) {
                    kill(pid, SIGKILL)
                    ended(self.wait(pid))
                }
            }
        }
    }

    func signal(_ pid: Int32, _ signal: CInt) {
        children.withLock { children in
            if children.contains(pid) { _ = kill(pid, signal) }
        }
    }

    /// Waits for a child's end. Blocks.
    private func wait(_ pid: Int32) -> ProcessEnding {
        var information = siginfo_t()
        // Its number stays its own until it is reaped, which is done where no signal is sent meanwhile.
        while waitid(P_PID, id_t(pid), &information, WEXITED | WNOWAIT) != 0, errno == EINTR {}
        var status: CInt = 0
        children.withLock { children in
            while waitpid(pid, &status, 0) < 0, errno == EINTR {}
            children.remove(pid)
        }
        let signal = status & 0x7F
        return signal == 0 ? .exited((status >> 8) & 0xFF) : .signalled(signal)
    }

    private func spawn(_ order: ProcessOrder) -> Result<Int32, LoaderError> {
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        let given = [order.receipts.descriptor] + order.links
        // Copies above all targets, so that no step overwrites what a later one needs.
        let above = Self.firstDescriptor + CInt(given.count)
        let sources = given.map { fcntl($0, F_DUPFD_CLOEXEC, above) }
        defer {
            for source in sources where source >= 0 { close(source) }
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        guard sources.allSatisfy({ $0 >= 0 }) else { return .failure(FileSystem.failure("pass on", "a socket")) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        for (index, source) in sources.enumerated() {
            posix_spawn_file_actions_adddup2(&actions, source, Self.firstDescriptor + CInt(index))
        }
        _ = Subprocess.addCloseFrom?(&actions, above)
        // A group of its own: the terminal's Ctrl-C is for the supervisor, which drains first.
        Subprocess.detach(&attributes)

        let own = [
            "--module", order.module, "--links", "\(order.links.count)", "--supervisor", "\(getpid())", order.function,
        ]
        var argv: [UnsafeMutablePointer<CChar>?] = (arguments + own).map { strdup($0) }
        argv.append(nil)
        var variables: [UnsafeMutablePointer<CChar>?] = (environment + ["FERRY_WORKER_ID=\(order.token)"]).map {
            strdup($0)
        }
        variables.append(nil)
        defer { for pointer in argv + variables { free(pointer) } }
        var child: pid_t = 0
        // The very file that this process runs, also when another was installed in its place.
        let code = posix_spawn(&child, "/proc/self/exe", &actions, &attributes, argv, variables)
        guard code == 0 else {
            return .failure(LoaderError(.system, "cannot start a process: \(String(cString: strerror(code)))"))
        }
        return .success(child)
    }
}
