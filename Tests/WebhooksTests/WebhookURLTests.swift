import NIOPosix
import Testing

@testable import Webhooks

@Suite struct WebhookURLTests {
    @Test(arguments: [
        ("https://example.com", "example.com", 443, "/", "example.com"),
        ("https://example.com/a/b?c=d&e", "example.com", 443, "/a/b?c=d&e", "example.com"),
        ("https://example.com?x", "example.com", 443, "/?x", "example.com"),
        ("HTTPS://Example.COM./", "example.com", 443, "/", "example.com"),
        ("https://example.com:443/", "example.com", 443, "/", "example.com"),
        ("https://example.com:8443/a%20b", "example.com", 8443, "/a%20b", "example.com:8443"),
        ("http://a_b.example/", "a_b.example", 80, "/", "a_b.example"),
        ("https://xn--mller-kva.example/", "xn--mller-kva.example", 443, "/", "xn--mller-kva.example"),
        ("https://[2606:4700::1111]/", "2606:4700::1111", 443, "/", "[2606:4700::1111]"),
        ("https://[2606:4700::AB]:9/", "2606:4700::ab", 9, "/", "[2606:4700::ab]:9"),
        ("https://8.8.8.8:1/x@y", "8.8.8.8", 1, "/x@y", "8.8.8.8:1"),
        (
            "https://example.com/?u=http://user@10.0.0.1/", "example.com", 443, "/?u=http://user@10.0.0.1/",
            "example.com"
        ),
    ])
    func `a URL has one reading`(_ text: String, _ host: String, _ port: Int, _ target: String, _ name: String) throws {
        let url = try WebhookURL(text)
        #expect((url.host, url.port, url.target) == (host, port, target))
        #expect(url.authority == name)
        #expect(url.isSecure == text.lowercased().hasPrefix("https"))
    }

    @Test(arguments: [
        "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7F.1", "0177.0.0.1", "017700000001", "127.0.0.1.",
        "0x7f.0x0.0x0.0x1", "127.0x0.1",
    ])
    func `forms of an IPv4 address are that address`(_ host: String) throws {
        let url = try WebhookURL("https://\(host)/")
        #expect(url.literal == NetworkAddress("127.0.0.1"))
        #expect(url.host == "127.0.0.1" && url.authority == "127.0.0.1")
    }

    @Test(arguments: [
        "", "x", "example.com", "//example.com/", "ftp://example.com/", "file:///etc/passwd", "gopher://example.com/",
        "https:/example.com", "https:example.com", "https://", "https:///x", "https://?x", "https://:443/",
        "https://user@example.com/", "https://user:pass@example.com/", "https://example.com@10.0.0.1/",
        "https://@example.com/", "https://example.com:/", "https://example.com:0/", "https://example.com:65536/",
        "https://example.com:99999999999999999999/", "https://example.com:+80/", "https://example.com:80x/",
        "https://example.com:80:80/", "https://example.com/#f", "https://exa mple.com/", "https://example.com/ x",
        "https://example.com\\@10.0.0.1/", "https://example.com\t/", "https://example.com/\r\nX: y",
        "https://müller.de/",
        "https://example.com/ü", "https://1２7.0.0.1/", "https://127。0。0。1/", "https://%31%32%37.0.0.1/",
        "https://example%2ecom/", "https://example..com/", "https://.example.com/", "https://example.com../",
        "https://[::1/", "https://[]/", "https://[1.2.3.4]/", "https://[fe80::1%25lo]/", "https://[::1]x/",
        "https://[::1]@example.com/", "https://1.2.3.4.5/", "https://256.0.0.1/", "https://1.2.3.0x/", "https://09.1/",
        "https://example.123/", "https://example.0x1/", "https://a,b/", "https://a!b/",
        "https://" + String(repeating: "a", count: 64) + ".com/",
        "https://" + String(repeating: "a.", count: 130) + "com/",
        "https://example.com/" + String(repeating: "a", count: 2048),
    ])
    func `what could be read in two ways is refused`(_ text: String) {
        #expect(throws: WebhookURL.Problem.self) { try WebhookURL(text) }
    }

    @Test func `what the text tells is refused before anything is sent`() async throws {
        try await WebhookBench.with { bench in
            let strict = try bench.poster(allow: ["127.0.0.1/32"])
            for (url, isUsable) in [
                ("https://example.com/", true), ("http://example.com/", false), ("https://127.0.0.1/", true),
                ("https://127.1/", true), ("https://127.0.0.2/", false), ("https://10.0.0.1/", false),
                ("https://0xa9fea9fe/", false), ("https://[::1]/", false), ("https://[::ffff:127.0.0.1]/", true),
                ("https://[::ffff:a00:1]/", false), ("https://localhost/", true), ("nonsense", false),
            ] {
                #expect((strict.problem(with: url) == nil) == isUsable, "\(url)")
            }
            #expect(try bench.poster(allowsHTTP: true).problem(with: "http://example.com/") == nil)
        }
    }
}
