import Host
import Testing

@testable import ferry

@Suite struct HostAddressTests {
    @Test(arguments: [
        ("http://127.0.0.1:3000", "http://127.0.0.1:3000", "127.0.0.1", 3000),
        ("HTTPS://example.org/", "https://example.org", "example.org", 443),
        ("http://[::1]:8080/api/", "http://[::1]:8080/api", "::1", 8080), ("http://[::1]", "http://[::1]", "::1", 80),
        ("https://h:443/a//", "https://h/a", "h", 443),
    ])
    func `a base URL is read`(text: String, url: String, host: String, port: Int) throws {
        let address = try #require(HostAddress(text))
        #expect(address.url == url)
        #expect(address.host == host)
        #expect(address.port == port)
    }

    @Test(arguments: [
        "", "127.0.0.1:3000", "ftp://h", "http://", "http://u@h", "http://h:0", "http://h:65536", "http://h:",
        "http://h?q",
        "http://h/#f", "http://[::1", "http://[::1]x", "http://h h", "http://h\r\nx",
    ])
    func `what is no base URL is refused`(text: String) {
        #expect(HostAddress(text) == nil)
    }
}
