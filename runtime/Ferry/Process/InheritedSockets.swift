import Glibc
import Host

/// The listening sockets that a service manager hands to the process it starts, from descriptor 3 on (`sd_listen_fds(3)`).
enum InheritedSockets {
    private static let first: CInt = 3
    private static let mostCount = 64

    /// Takes what `LISTEN_FDS` and `LISTEN_PID` name; later calls, and children, find nothing.
    ///
    /// - Returns: The sockets, or `nil` when there are none for this process.
    /// - Throws: ``CommandFailure`` when `LISTEN_FDS` is no count or a descriptor is no stream socket that can listen.
    static func take() throws -> [ListenAddress]? {
        let (count, process) = (value("LISTEN_FDS"), value("LISTEN_PID"))
        for name in ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"] { unsetenv(name) }
        // A process's children get a copy of its environment, but not its sockets.
        guard let count, let process, pid_t(process) == getpid() else { return nil }
        guard let number = Int(count), (0...mostCount).contains(number) else {
            throw CommandFailure("environment variable LISTEN_FDS must be a number of sockets, not \"\(count)\"")
        }
        guard number > 0 else { return nil }
        return try (0..<CInt(number)).map { index in
            let descriptor = first + index
            if let problem = problem(descriptor) {
                throw CommandFailure("LISTEN_FDS: descriptor \(descriptor) \(problem)")
            }
            return ListenAddress.inherited(descriptor: descriptor)
        }
    }

    private static func value(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
    }

    /// Why nobody can listen on a descriptor; it is made private to this process.
    private static func problem(_ descriptor: CInt) -> String? {
        guard fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0 else { return "is not open" }
        guard let type = option(descriptor, SO_TYPE), let family = option(descriptor, SO_DOMAIN) else {
            return "is no socket"
        }
        guard type == CInt(SOCK_STREAM.rawValue), [AF_INET, AF_INET6, AF_UNIX].contains(family) else {
            return "is no stream socket of TCP or Unix"
        }
        var address = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let isConnected = withUnsafeMutableBytes(of: &address) { bytes in
            bytes.baseAddress.map { getpeername(descriptor, $0.assumingMemoryBound(to: sockaddr.self), &length) == 0 }
        }
        return isConnected == true ? "is a connection; in systemd's unit, Accept must be no" : nil
    }

    private static func option(_ descriptor: CInt, _ name: CInt) -> CInt? {
        var value: CInt = 0
        var length = socklen_t(MemoryLayout<CInt>.size)
        return getsockopt(descriptor, SOL_SOCKET, name, &value, &length) == 0 ? value : nil
    }
}
