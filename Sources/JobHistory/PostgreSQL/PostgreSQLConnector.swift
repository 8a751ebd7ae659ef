internal import Glibc
internal import Synchronization

/// Opens connections to the servers that a URL names.
///
/// libpq's way of connecting without blocking knows no limit: a server that takes a connection and then says nothing would
/// hold an attempt until its caller's deadline, and neither the next host nor the next address of a name would be tried.
/// So each address is an attempt of its own with a limit, the one that answered last being the first. Names are looked
/// up here, on the store's own threads, too; how long that may take is the system's resolver's to say.
final class PostgreSQLConnector: Sendable {
    /// The limit where the URL has no `connect_timeout`.
    private static let defaultLimit = Duration.seconds(2)

    private let url: PostgreSQLURL
    private let library: PostgreSQLLibrary
    private let timeout: Duration
    /// The hosts of the URL, without their names looked up.
    private let hosts: [PostgreSQLAddress]
    private let limit: Duration
    private let answered = Mutex<PostgreSQLAddress?>(nil)

    /// - Parameters:
    ///   - url: The servers.
    ///   - library: libpq.
    ///   - timeout: The deadline of each call.
    /// - Throws: ``HistoryError`` `failed` when libpq refuses the URL.
    init(_ url: PostgreSQLURL, _ library: PostgreSQLLibrary, timeout: Duration) throws(HistoryError) {
        self.url = url
        self.library = library
        self.timeout = timeout
        let values = try url.values(library)
        hosts = Self.hosts(values)
        let seconds = values["connect_timeout"].flatMap(Int.init) ?? 0
        // Half of the deadline at most, so that a call has a second attempt.
        limit = seconds > 0 ? .seconds(seconds) : min(Self.defaultLimit, timeout / 2)
    }

    /// Connects to the first server that answers. It blocks.
    ///
    /// - Parameters:
    ///   - deadline: When the connection must stand.
    ///   - isWanted: Whether anybody still waits for it; asked a few times a second.
    /// - Returns: The connection, whose deadline is that of the attempt.
    /// - Throws: `PostgreSQLFailure` of the last server that was tried. One that refuses for good is the last.
    func connect(
        deadline: ContinuousClock.Instant, isWanted: () -> Bool = { true }
    ) throws(PostgreSQLFailure) -> PostgreSQLConnection {
        var failure = PostgreSQLFailure(.lost, "the URL names no server")
        for address in addresses(&failure) {
            do {
                let connection = try attempt(address, deadline: deadline, isWanted: isWanted)
                answered.withLock { $0 = address }
                return connection
            } catch {
                guard error.isTransient, isWanted(), .now < deadline else { throw error }
                failure = error
            }
        }
        throw failure
    }

    private func attempt(
        _ address: PostgreSQLAddress, deadline: ContinuousClock.Instant, isWanted: () -> Bool
    ) throws(PostgreSQLFailure) -> PostgreSQLConnection {
        let end = min(deadline, .now + limit)
        do {
            return try PostgreSQLConnection(
                url, library, at: address, timeout: timeout, deadline: end, isWanted: isWanted)
        } catch {
            guard error.kind == .late, end < deadline else { throw error }
            throw PostgreSQLFailure(.lost, "a server did not answer within \(limit) when it was connected to")
        }
    }

    // MARK: Where

    /// What to try, in that order. A name that is not found is a failure that counts when there is nothing else.
    private func addresses(_ failure: inout PostgreSQLFailure) -> [PostgreSQLAddress] {
        var found: [PostgreSQLAddress] = []
        for host in hosts {
            guard let name = host.host, host.numbers == nil, !name.hasPrefix("/"), !name.hasPrefix("@") else {
                found.append(host)
                continue
            }
            switch Self.look(up: name) {
            case .success(let numbers):
                found += numbers.map { PostgreSQLAddress(host: name, numbers: $0, port: host.port) }
            case .failure(let error): failure = error
            }
        }
        let first = answered.withLock { $0 }
        if let first, let index = found.firstIndex(of: first) { found.insert(found.remove(at: index), at: 0) }
        return found
    }

    /// - Source: PostgreSQL documentation, 34.1.1.3 "Specifying Multiple Hosts".
    static func hosts(_ values: [String: String]) -> [PostgreSQLAddress] {
        func list(_ keyword: String) -> [String?] {
            guard let text = values[keyword], !text.isEmpty else { return [] }
            return text.split(separator: ",", omittingEmptySubsequences: false).map { $0.isEmpty ? nil : String($0) }
        }
        let (names, numbers, ports) = (list("host"), list("hostaddr"), list("port"))
        let count = max(names.count, numbers.count)
        // Lists that do not fit are libpq's to refuse.
        guard count > 0, [0, count].contains(names.count), [0, count].contains(numbers.count),
            [0, 1, count].contains(ports.count)
        else { return [PostgreSQLAddress()] }
        return (0..<count).map { index in
            PostgreSQLAddress(
                host: names.isEmpty ? nil : names[index], numbers: numbers.isEmpty ? nil : numbers[index],
                port: ports.isEmpty ? nil : ports[ports.count == 1 ? 0 : index])
        }
    }

    /// The addresses of a name, in the system's order. It blocks.
    private static func look(up name: String) -> Result<[String], PostgreSQLFailure> {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(name, nil, &hints, &list)
        defer { if let list { freeaddrinfo(list) } }
        guard status == 0 else {
            let reason = gai_strerror(status).map { String(cString: $0) } ?? "error \(status)"
            return .failure(PostgreSQLFailure(.lost, "the name \(name) was not found: \(reason)"))
        }
        var numbers: [String] = []
        var next = list
        while let entry = next?.pointee {
            next = entry.ai_next
            var buffer = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            let length = socklen_t(buffer.count)
            if getnameinfo(entry.ai_addr, entry.ai_addrlen, &buffer, length, nil, 0, NI_NUMERICHOST) == 0 {
                numbers.append(String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self))
            }
        }
        return .success(numbers)
    }
}
