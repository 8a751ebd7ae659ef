internal import Glibc

/// One command to a redis-server over its Unix socket, on a connection of its own: enough to ask whether it lives, what
/// it is, and to end it. Blocks for at most `timeoutMs`, so it is called on a thread pool.
enum RedisProbe {
    enum Answer: Equatable {
        /// The reply: a simple string, an error with its `-`, or a bulk string.
        case reply(String)
        /// Nothing listens there.
        case absent
        /// Something accepted the connection, or has a full backlog, and did not answer in time.
        case silent
        /// The connection was closed without a reply, which is how SHUTDOWN succeeds.
        case closed
    }

    static func send(_ arguments: [String], to path: String, timeoutMs: Int = 1000) -> Answer {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return .silent }
        defer { close(descriptor) }
        var limit = timeval(tv_sec: timeoutMs / 1000, tv_usec: timeoutMs % 1000 * 1000)
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, size)

        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else { return .absent }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard connected == 0 else { return errno == EAGAIN || errno == EINTR ? .silent : .absent }

        let command =
            Array("*\(arguments.count)\r\n".utf8)
            + arguments.flatMap { Array("$\($0.utf8.count)\r\n\($0)\r\n".utf8) }
        guard Glibc.send(descriptor, command, command.count, Int32(MSG_NOSIGNAL)) == command.count else {
            return errno == EPIPE || errno == ECONNRESET ? .closed : .silent
        }
        return receive(from: descriptor, timeoutMs: timeoutMs)
    }

    private static func receive(from descriptor: Int32, timeoutMs: Int) -> Answer {
        let deadline = ContinuousClock.now + .milliseconds(timeoutMs)
        var received: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 8192)
        while received.count < 1 << 20, ContinuousClock.now < deadline {
            let count = recv(descriptor, &chunk, chunk.count, 0)
            if count == 0 { return .closed }
            if count < 0 {
                if errno == EINTR { continue }
                return errno == ECONNRESET ? .closed : .silent
            }
            received += chunk[..<count]
            if let reply = parse(received) { return .reply(reply) }
        }
        return .silent
    }

    /// The reply in the bytes so far, or `nil` while it is not whole.
    static func parse(_ bytes: [UInt8]) -> String? {
        guard let end = bytes.firstIndex(of: UInt8(ascii: "\r")), end + 1 < bytes.count else { return nil }
        let line = String(decoding: bytes[..<end], as: UTF8.self)
        switch line.first {
        case "$":
            guard let count = Int(line.dropFirst()), count >= 0 else { return "" }
            let body = bytes[(end + 2)...]
            return body.count < count + 2 ? nil : String(decoding: body.prefix(count), as: UTF8.self)
        case "-": return line
        default: return String(line.dropFirst())
        }
    }
}
