/// Which addresses are called: those of the public internet, and what the configuration adds.
///
/// What is refused are the networks that IANA's registries of special-purpose addresses do not name as globally reachable:
/// this host, private and shared networks, link-local, documentation, benchmarks, multicast, and what is reserved. Of IPv6
/// only the global unicast addresses that are given out are called, so a kind of address that comes later is refused until
/// somebody has thought about it. An IPv6 address that leads to an IPv4 address is judged by that one as well.
///
/// - Source: IANA IPv4 and IPv6 Special-Purpose Address Registries; RFC 6890, 6598, 4291, 4193, 6052, 8215.
public struct AddressRules: Sendable, Hashable {
    private let allowed: [AddressNetwork]

    /// Takes the networks that are called although they are not public.
    public init(allowed: [AddressNetwork] = []) { self.allowed = allowed }

    /// Whether the address may be connected to.
    func allows(_ address: NetworkAddress) -> Bool {
        if allowed.contains(where: { $0.contains(address) }) { return true }
        guard AddressRules.isPublic(address) else { return false }
        return address.embedded.map(allows) ?? true
    }

    private static func isPublic(_ address: NetworkAddress) -> Bool {
        if address.bytes.count == 4 { return !special4.contains { $0.contains(address) } }
        // NAT64 lies outside of what is given out, and is how networks without IPv4 reach it.
        if translated.contains(where: { $0.contains(address) }) { return true }
        return global.contains { $0.contains(address) } && !special6.contains { $0.contains(address) }
    }

    private static let translated = networks(["64:ff9b::/96"])
    private static let global = networks(["2000::/3"])

    private static let special4 = networks([
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/4", "240.0.0.0/4",
    ])

    /// Within 2000::/3: protocol assignments with Teredo, benchmarks and ORCHID; documentation.
    private static let special6 = networks(["2001::/23", "2001:db8::/32", "3fff::/20"])

    private static func networks(_ texts: [String]) -> [AddressNetwork] {
        let networks = texts.compactMap(AddressNetwork.init)
        precondition(networks.count == texts.count, "a network of the table is none")
        return networks
    }
}
