internal import Glibc

/// The peers whose `X-Forwarded-For` and `X-Forwarded-Proto` count.
public struct TrustedProxies: Sendable, Hashable {
    private struct Network: Sendable, Hashable {
        let bytes: [UInt8]
        let prefixBits: Int

        func contains(_ address: [UInt8]) -> Bool {
            guard address.count == bytes.count else { return false }
            let whole = prefixBits / 8
            guard address.prefix(whole) == bytes.prefix(whole) else { return false }
            let rest = prefixBits % 8
            return rest == 0 || (address[whole] ^ bytes[whole]) >> (8 - rest) == 0
        }
    }

    /// The addresses, networks and `unix`, as they were given.
    public let entries: [String]
    private let networks: [Network]
    private let trustsUnixSockets: Bool

    /// Trusts nobody.
    public init() {
        entries = []
        networks = []
        trustsUnixSockets = false
    }

    /// Reads addresses (`127.0.0.1`, `::1`), networks (`10.0.0.0/8`) and `unix` for peers on a Unix socket.
    ///
    /// - Returns: `nil` when one of them is none of these.
    public init?(_ entries: [String]) {
        var networks: [Network] = []
        var trustsUnixSockets = false
        for entry in entries {
            if entry == "unix" {
                trustsUnixSockets = true
                continue
            }
            let parts = entry.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
            guard let bytes = TrustedProxies.parse(String(parts[0])) else { return nil }
            var prefixBits = bytes.count * 8
            if parts.count == 2 {
                guard let bits = Int(parts[1]), (0...prefixBits).contains(bits) else { return nil }
                prefixBits = bits
            }
            networks.append(Network(bytes: bytes, prefixBits: prefixBits))
        }
        self.entries = entries
        self.networks = networks
        self.trustsUnixSockets = trustsUnixSockets
    }

    /// Whether a network of all addresses is among them, so that whoever reaches the host is trusted.
    public var trustsEverybody: Bool { networks.contains { $0.prefixBits == 0 } }

    /// Whether nobody is trusted.
    public var isEmpty: Bool { networks.isEmpty && !trustsUnixSockets }

    /// Whether the peer with this address, without port, is trusted.
    func contains(_ address: String) -> Bool {
        if address == "unix" { return trustsUnixSockets }
        guard !networks.isEmpty, let bytes = TrustedProxies.parse(address) else { return false }
        return networks.contains { $0.contains(bytes) }
    }

    /// The client behind trusted proxies: the last address of the list that is not itself trusted.
    ///
    /// - Returns: `nil` when the list holds something that is no address; then it says nothing.
    func client(forwardedFor list: String) -> String? {
        var client: String?
        for entry in list.split(separator: ",").reversed() {
            let address = entry.filter { $0 != " " && $0 != "\t" }
            guard TrustedProxies.parse(address) != nil else { return nil }
            client = address
            if !contains(address) { break }
        }
        return client
    }

    /// The bytes of an address; an IPv4 address mapped into IPv6 is taken as IPv4.
    private static func parse(_ text: String) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: 16)
        if inet_pton(AF_INET, text, &bytes) == 1 { return Array(bytes[..<4]) }
        guard inet_pton(AF_INET6, text, &bytes) == 1 else { return nil }
        let isMapped = bytes[..<10].allSatisfy { $0 == 0 } && bytes[10] == 0xFF && bytes[11] == 0xFF
        return isMapped ? Array(bytes[12...]) : bytes
    }
}
