import Testing

@testable import Webhooks

@Suite struct AddressRulesTests {
    @Test(arguments: [
        "8.8.8.8", "1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
        "128.0.0.1", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.0.3.0",
        "192.88.98.255", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "203.0.112.255",
        "223.255.255.255", "::ffff:8.8.8.8", "2606:4700::1111", "2a00:1450:4001::1", "2001:200::1", "2003::1",
        "64:ff9b::8.8.8.8", "2002:808:808::1", "2a00::5efe:8.8.8.8",
    ])
    func `a public address is called`(_ text: String) throws {
        #expect(AddressRules().allows(try #require(NetworkAddress(text))))
    }

    @Test(arguments: [
        // This host, and whoever listens on every address.
        "0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.254", "::", "::1",
        // Private, shared, link-local with the clouds' metadata.
        "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.255.255", "100.64.0.1",
        "100.127.255.255", "169.254.0.1", "169.254.169.254", "fe80::1", "febf::1", "fec0::1", "fc00::1",
        "fd00:ec2::254",
        // Documentation, benchmarks, assignments, multicast, reserved, broadcast.
        "192.0.0.1", "192.0.0.170", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.19.255.255", "198.51.100.1",
        "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "ff02::1", "ff0e::1",
        "2001:db8::1", "3fff::1", "3fff:fff::1", "2001:2::1", "2001:10::1", "2001:20::1", "100::1", "5f00::1",
        "4000::1", "1fff::1", "e000::1",
        // IPv4 in the forms of IPv6.
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0.0.0.0", "::127.0.0.1",
        "::8.8.8.8", "::ffff:0:8.8.8.8", "64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::169.254.169.254",
        "64:ff9b:1::8.8.8.8", "2002:7f00:1::1", "2002:a00:1::1", "2002:c0a8:101::1", "2001::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2a00::5efe:10.0.0.1", "2a00::200:5efe:127.0.0.1",
    ])
    func `an address that is not public is refused, and called when it is allowed`(_ text: String) throws {
        let address = try #require(NetworkAddress(text))
        #expect(!AddressRules().allows(address))
        let itself = try #require(AddressNetwork(address.description))
        #expect(AddressRules(allowed: [itself]).allows(address))
        let others = ["8.0.0.0/8", "2600::/16"].compactMap(AddressNetwork.init)
        #expect(!AddressRules(allowed: others).allows(address))
    }

    @Test func `an allowed network ends where its bits end`() throws {
        let rules = AddressRules(allowed: ["10.1.2.0/23", "fd00:1::/33", "127.0.0.1"].compactMap(AddressNetwork.init))
        for (text, isAllowed) in [
            ("10.1.2.0", true), ("10.1.3.255", true), ("10.1.4.0", false), ("10.1.1.255", false),
            ("::ffff:10.1.2.3", true), ("64:ff9b::10.1.2.3", true), ("fd00:1:7fff::1", true),
            ("fd00:1:8000::1", false), ("127.0.0.1", true), ("127.0.0.2", false),
        ] {
            #expect(rules.allows(try #require(NetworkAddress(text))) == isAllowed, "\(text)")
        }
        let all = AddressRules(allowed: ["0.0.0.0/0"].compactMap(AddressNetwork.init))
        #expect(all.allows(try #require(NetworkAddress("127.0.0.1"))))
        #expect(!all.allows(try #require(NetworkAddress("::1"))))
    }

    @Test(arguments: [
        "", "x", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/+8", "::1/129", "10.1", "[::1]", "fe80::1%lo",
        "::ffff:10.0.0.0/104", "10.0.0.0/8/8", " 10.0.0.0/8",
    ])
    func `what is no network is none`(_ text: String) {
        #expect(AddressNetwork(text) == nil)
    }
}
