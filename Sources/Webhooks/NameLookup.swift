internal import FunctionKit
internal import Glibc
internal import NIOPosix
internal import Synchronization

/// Finds the addresses of names on threads of its own. The system's function cannot be interrupted, so one that hangs keeps
/// its thread until it ends, and nobody waits for it longer than the caller wants.
final class NameLookup: Sendable {
    /// More of them would wait for threads that hang.
    private static let waitingLimit = 64
    private static let threadCount = 4

    private let pool = NIOThreadPool(numberOfThreads: NameLookup.threadCount)
    private let waiting = Mutex(0)

    init() { pool.start() }

    /// Ends the threads, once they have ended what they do.
    func shutdown() async throws { try await pool.shutdownGracefully() }

    /// All addresses of a name, each once, in the system's order.
    ///
    /// - Throws: ``FunctionKit/WebhookFailure`` `unknownName`.
    /// - Cancellation: throws `CancellationError`.
    func addresses(of name: String, within time: Duration) async throws -> [NetworkAddress] {
        let isFull = waiting.withLock { count in
            if count >= NameLookup.waitingLimit { return true }
            count += 1
            return false
        }
        if isFull { throw WebhookFailure(.unknownName, "too many names are being looked up") }
        typealias Found = Result<[NetworkAddress], WebhookFailure>
        let (results, result) = AsyncStream.makeStream(of: Found.self, bufferingPolicy: .bufferingOldest(1))
        pool.submit { state in
            result.yield(
                state == .active ? NameLookup.look(name) : .failure(WebhookFailure(.unknownName, "shutting down")))
            result.finish()
            self.waiting.withLock { $0 -= 1 }
        }
        return try await withThrowingTaskGroup(of: [NetworkAddress].self) { group in
            group.addTask {
                for await found in results { return try found.get() }
                throw CancellationError()
            }
            group.addTask {
                try await Task.sleep(for: time)
                throw WebhookFailure(.unknownName, "\(name) was not found out in time")
            }
            defer { group.cancelAll() }
            guard let found = try await group.next() else { throw CancellationError() }
            return found
        }
    }

    private static func look(_ name: String) -> Result<[NetworkAddress], WebhookFailure> {
        var hints = addrinfo()
        hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(name, nil, &hints, &list)
        defer { if let list { freeaddrinfo(list) } }
        guard code == 0 else {
            return .failure(WebhookFailure(.unknownName, "\(name): \(String(cString: gai_strerror(code)))"))
        }
        var found: [NetworkAddress] = []
        var next = list
        while let entry = next {
            if let address = address(of: entry.pointee.ai_addr), !found.contains(address) { found.append(address) }
            next = entry.pointee.ai_next
        }
        return found.isEmpty ? .failure(WebhookFailure(.unknownName, "\(name) has no address")) : .success(found)
    }

    private static func address(of socket: UnsafeMutablePointer<sockaddr>?) -> NetworkAddress? {
        guard let socket else { return nil }
        switch CInt(socket.pointee.sa_family) {
        case AF_INET:
            return socket.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { socket in
                withUnsafeBytes(of: socket.pointee.sin_addr) { NetworkAddress(bytes: Array($0)) }
            }
        case AF_INET6:
            return socket.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { socket in
                withUnsafeBytes(of: socket.pointee.sin6_addr) { NetworkAddress(bytes: Array($0)) }
            }
        default: return nil
        }
    }
}
