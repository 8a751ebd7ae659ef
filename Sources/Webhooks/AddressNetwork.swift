/// The addresses whose first bits are the same.
public struct AddressNetwork: Sendable, Hashable {
    /// As it was written.
    public let text: String
    private let bytes: [UInt8]
    private let prefixBits: Int

    /// Reads a network such as `10.0.0.0/8`, or an address, which is a network of one.
    ///
    /// - Returns: `nil` for what is neither.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let address = NetworkAddress(String(first)) else { return nil }
        // In the IPv6 form of IPv4 the bits would be counted from another place.
        guard address.bytes.count == 4 || first.contains(":"), address.bytes.count == 16 || !first.contains(":") else {
            return nil
        }
        self.text = text
        bytes = address.bytes
        guard parts.count == 2 else {
            prefixBits = bytes.count * 8
            return
        }
        guard parts[1].utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            let bits = Int(parts[1]), (0...bytes.count * 8).contains(bits)
        else { return nil }
        prefixBits = bits
    }

    /// Whether the address is one of them.
    func contains(_ address: NetworkAddress) -> Bool {
        guard address.bytes.count == bytes.count else { return false }
        let whole = prefixBits / 8
        guard address.bytes.prefix(whole) == bytes.prefix(whole) else { return false }
        let rest = prefixBits % 8
        return rest == 0 || (address.bytes[whole] ^ bytes[whole]) >> (8 - rest) == 0
    }
}
