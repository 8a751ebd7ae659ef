internal import Glibc

/// An IPv4 or IPv6 address. An IPv4 address in its IPv6 form (`::ffff:…`) is the IPv4 address: the same host answers.
public struct NetworkAddress: Sendable, Hashable, CustomStringConvertible {
    /// 4 or 16 bytes in network order.
    let bytes: [UInt8]

    /// Takes 4 or 16 bytes in network order.
    ///
    /// - Returns: `nil` for another number of bytes.
    init?(bytes: [UInt8]) {
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        let isMapped =
            bytes.count == 16 && bytes[..<10].allSatisfy { $0 == 0 } && bytes[10] == 0xFF && bytes[11] == 0xFF
        self.bytes = isMapped ? Array(bytes[12...]) : bytes
    }

    /// Reads an address in the usual form, `192.0.2.1` or `2001:db8::1`, without brackets and zone.
    init?(_ text: String) {
        var bytes = [UInt8](repeating: 0, count: 16)
        if inet_pton(AF_INET, text, &bytes) == 1 {
            self.init(bytes: Array(bytes[..<4]))
        } else if inet_pton(AF_INET6, text, &bytes) == 1 {
            self.init(bytes: bytes)
        } else {
            return nil
        }
    }

    /// Reads an IPv4 address in any form that the system's own functions take: `127.1`, `0x7f000001`, `017700000001`.
    init?(anyForm text: String) {
        var address = in_addr()
        guard inet_aton(text, &address) != 0 else { return nil }
        self.init(bytes: withUnsafeBytes(of: &address) { Array($0) })
    }

    /// The IPv4 address that is embedded in the IPv6 address by one of the ways in which networks translate it: NAT64
    /// (RFC 6052), 6to4 (RFC 3056), ISATAP (RFC 5214).
    var embedded: NetworkAddress? {
        guard bytes.count == 16 else { return nil }
        if bytes.starts(with: [0x00, 0x64, 0xFF, 0x9B] + Array(repeating: 0, count: 8)) {
            return NetworkAddress(bytes: Array(bytes[12...]))
        }
        if bytes.starts(with: [0x20, 0x02]) { return NetworkAddress(bytes: Array(bytes[2..<6])) }
        let isISATAP = bytes[8] & 0xFD == 0 && bytes[9] == 0 && bytes[10] == 0x5E && bytes[11] == 0xFE
        return isISATAP ? NetworkAddress(bytes: Array(bytes[12...])) : nil
    }

    /// The address in its usual form.
    public var description: String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard inet_ntop(bytes.count == 4 ? AF_INET : AF_INET6, bytes, &text, socklen_t(text.count)) != nil else {
            return "?"
        }
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
