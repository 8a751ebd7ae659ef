import Testing

@testable import RedisClient

@Suite struct RedisConfigurationTests {
    struct Case: Sendable {
        let url: String
        var endpoint: String
        var user: String?
        var password: String?
        var database = 0
        var isTLS = false
    }

    @Test(arguments: [
        Case(url: "redis://localhost", endpoint: "localhost:6379"),
        Case(url: "redis://localhost/", endpoint: "localhost:6379"),
        Case(url: "redis://h:7000/12", endpoint: "h:7000", database: 12),
        Case(url: "redis://:s%40cret@h", endpoint: "h:6379", password: "s@cret"),
        Case(url: "redis://me:a:b@h:1", endpoint: "h:1", user: "me", password: "a:b"),
        Case(url: "redis://me:p@ss@h", endpoint: "h:6379", user: "me", password: "p@ss"),
        Case(url: "redis://:@h", endpoint: "h:6379"),
        Case(url: "redis://[::1]:7/3", endpoint: "[::1]:7", database: 3),
        Case(url: "redis://[::1]", endpoint: "[::1]:6379"),
        Case(url: "rediss://u:p@h/1", endpoint: "h:6379", user: "u", password: "p", database: 1, isTLS: true),
        Case(url: "unix:/run/redis.sock", endpoint: "unix:/run/redis.sock"),
        Case(url: "unix:/run/a%20b?db=2", endpoint: "unix:/run/a b", database: 2),
        Case(url: "unix:///run/redis.sock", endpoint: "unix:/run/redis.sock"),
        Case(url: "unix://u:p@/run/s", endpoint: "unix:/run/s", user: "u", password: "p"),
    ])
    func readsURL(_ expected: Case) throws {
        let configuration = try RedisConfiguration(url: expected.url)
        #expect(configuration.endpoint.description == expected.endpoint)
        #expect(configuration.user == expected.user)
        #expect(configuration.password == expected.password)
        #expect(configuration.database == expected.database)
        #expect((configuration.tls != nil) == expected.isTLS)
        #expect(configuration.tls?.verifiesCertificate ?? true)
    }

    @Test(arguments: [
        "", "localhost", "localhost:6379", "http://h", "REDIS://h", "redis:h", "redis://", "redis:///1",
        "redis://:6379",
        "redis://h:", "redis://h:0", "redis://h:65536", "redis://h:+1", "redis://h:x", "redis://h/x", "redis://h/-1",
        "redis://h/1/2", "redis://h/99999999999", "redis://h?db=1", "redis://h#1", "redis://secret@h", "redis://u:@h",
        "redis://u:%zz@h", "redis://::1", "redis://[::1", "redis://[::1]x", "unix:", "unix:relative", "unix://host/s",
        "unix:/s?db=x", "unix:/s?database=1", "unix:/s%2",
        "unix:/" + String(repeating: "x", count: 107),
    ])
    func refusesURL(_ url: String) {
        #expect(throws: RedisError(.configuration, "")) { try RedisConfiguration(url: url) }
    }

    @Test func neverPrintsThePassword() throws {
        let configuration = try RedisConfiguration(url: "redis://user:hunter2@h:1/2")
        var dumped = ""
        dump(configuration, to: &dumped)
        for text in ["\(configuration)", String(reflecting: configuration), dumped] {
            #expect(!text.contains("hunter2"))
        }
        #expect("\(configuration)" == "h:1 db 2")
        for url in ["redis://user:hunter2@h:99999", "redis://hunter2@h", "redis://u:hunter2%zz@h"] {
            let error = #expect(throws: RedisError.self) { try RedisConfiguration(url: url) }
            #expect(error.map { "\($0)".contains("hunter2") } == false)
        }
    }

    @Test func replyBoundStaysWithinWhatOldReadersCount() throws {
        var configuration = try RedisConfiguration(url: "redis://h")
        configuration.maximumReplyBytes = .max
        #expect(configuration.maximumReplyBytes == 512 << 20)
    }
}
