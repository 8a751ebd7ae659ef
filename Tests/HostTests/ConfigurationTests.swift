import Foundation
import Testing

@testable import Host

@Suite struct ConfigurationTests {
    @Test func `everything that is wrong is in one message, of the file, of the environment and between keys`() throws {
        let file = try ConfigurationFile(
            """
            {"http": {"backlog": 0, "backlgo": 1},
             "downloads": {"recordRetention": "1h"}, "storage": {"accessKeyID": "id"}}
            """)
        let problems = file.problems([
            "FERRY_HTTP_LOOPS": "many", "PORT": "http", "FERRY_LOG_LEVLE": "info", "FERRY_ISOLATION_OPEN_FILES": "4000",
        ])
        #expect(
            problems == [
                "config.json:1:22: http.backlog must be a whole number, 1…65535, not 0",
                "config.json:1:25: http.backlgo is not a known key; did you mean \"backlog\"?",
                "environment variable PORT: must be a port number, not \"http\"",
                "environment variable FERRY_HTTP_LOOPS: http.loops must be a whole number, 1…256, not \"many\"",
                "environment variable FERRY_LOG_LEVLE: is not known; did you mean FERRY_LOG_LEVEL?",
                "config.json:2:54: storage.secretAccessKey is required beside storage.accessKeyID",
                "config.json:2:16: downloads.recordRetention must not be shorter than downloads.archiveLifetime, 168h",
            ])
    }

    @Test func `a rule holds for file and environment together, and is silent about what is wrong already`() throws {
        let file = try ConfigurationFile(
            #"{"identity": {"mode": "header"}, "downloads": {"archiveLifetime": "1000h"}}"#)
        #expect(file.problems().count == 2)
        let mended = ["FERRY_HTTP_TRUSTED_PROXIES": "10.0.0.0/8,unix", "FERRY_DOWNLOADS_RECORD_RETENTION": "1000h"]
        #expect(file.problems(mended) == [])
        let wrong = file.problems(mended.merging(["FERRY_DOWNLOADS_RECORD_RETENTION": "1000"]) { $1 })
        #expect(wrong.count == 1 && wrong.first?.hasPrefix("environment variable FERRY_DOWNLOADS_RECORD") == true)
    }

    @Test(
        arguments: [
            ("http.maxConnections", "FERRY_HTTP_MAX_CONNECTIONS"),
            ("storage.accessKeyID", "FERRY_STORAGE_ACCESS_KEY_ID"), ("http.tls.key", "FERRY_HTTP_TLS_KEY"),
            ("identity.jwt.publicKey", "FERRY_IDENTITY_JWT_PUBLIC_KEY"), ("log.level", "FERRY_LOG_LEVEL"),
            ("history.url", "FERRY_HISTORY_URL"),
        ])
    func `each key has a variable`(path: String, name: String) {
        #expect(ConfigurationKey.byPath[path]?.variables.last == name)
    }

    @Test func `no two keys share a variable`() {
        let names = ConfigurationKey.all.flatMap { $0.variables + $0.fileVariables }
        #expect(names.count == Set(names).count)
    }

    @Test func `values of every kind are read from the environment`() throws {
        let configuration = try ConfigurationFile("{}").load([
            "FERRY_HTTP_LISTEN": "[::1]:3000, unix:/run/f.sock", "FERRY_HTTP_ACCESS_LOG": "false",
            "FERRY_HTTP_MAX_HEADER_BYTES": "2048", "FERRY_LOG_KEEP": "1MiB", "FERRY_HTTP_IDLE_TIMEOUT": "5s",
            "FERRY_CORS_ORIGINS": #" ["https://a,b"]"#.trimmingCharacters(in: .whitespaces), "FERRY_LOG_FORMAT": "json",
            "FERRY_LIMITS_BUDGETS": #"{"jobs": {"count": 3}}"#, "FERRY_IDENTITY_ADMINS": "[]", "FERRY_HTTP_LOOPS": "3",
        ])
        #expect(configuration.http.addresses == [.tcp(host: "::1", port: 3000), .unix(path: "/run/f.sock")])
        #expect(configuration.http.accessLogLevel == nil && configuration.http.maxHeadBytes == 2048)
        #expect(configuration.log.keptBytes == 1 << 20 && configuration.log.format == .json)
        #expect(configuration.http.idleTimeout == .seconds(5) && configuration.loopCount == 3)
        #expect(configuration.http.cors.origins == .list(["https://a,b"]))
        #expect(configuration.limits.budgets["jobs"] == Budget(per: .user, count: 3, window: .seconds(3600)))
        #expect(configuration.limits.budgets.count == 4 && configuration.identity.admins == [])
        #expect(configuration.sources["log.keep"]?.description == "environment variable FERRY_LOG_KEEP")
        #expect(configuration.sources["log.level"] == nil)
    }

    @Test(
        arguments: [
            ("FERRY_HTTP_ACCESS_LOG", "yes"), ("FERRY_HTTP_BACKLOG", "0x10"), ("FERRY_HTTP_LISTEN", ","),
            ("FERRY_LIMITS_BUDGETS", "jobs"), ("FERRY_LIMITS_BUDGETS", #"{"x": {"per": "user"}}"#),
            ("FERRY_CORS_ORIGINS", #"["a""#), ("FERRY_IDENTITY_ADMINS", #"[1]"#), ("FERRY_HTTP_TRUSTED_PROXIES", "a"),
            ("FERRY_STORAGE_ENDPOINT", "http://u:p@h"), ("FERRY_STORAGE_ENDPOINT", "https://h/path"),
            ("FERRY_IDENTITY_JWT_JWKS", "https://u:p@h/keys"), ("FERRY_IDENTITY_JWT_JWKS", "http://localhost.evil/"),
        ])
    func `what does not fit is refused`(name: String, value: String) throws {
        let problems = try ConfigurationFile("{}").problems([name: value])
        #expect(problems.first?.hasPrefix("environment variable \(name): ") == true, "\(problems)")
        #expect(!problems.joined().contains("u:p"))
    }

    @Test func `the port of a platform gives way to Ferry's own variable`() throws {
        let file = try ConfigurationFile(#"{"http": {"listen": ["127.0.0.1:1"]}}"#)
        var environment = ["PORT": "8080"]
        let all: [ListenAddress] = [.tcp(host: "0.0.0.0", port: 8080), .tcp(host: "::", port: 8080)]
        #expect(try file.load(environment).http.addresses == all)
        environment["FERRY_HTTP_LISTEN"] = "127.0.0.1:2"
        #expect(try file.load(environment).http.addresses == [.tcp(host: "127.0.0.1", port: 2)])
    }

    @Test func `what Kubernetes sets for a service is no variable of Ferry's`() throws {
        let file = try ConfigurationFile("{}")
        let links = [
            "FERRY_SERVICE_HOST": "10.0.0.1", "FERRY_SERVICE_PORT": "80", "FERRY_SERVICE_PORT_HTTP": "80",
            "FERRY_PORT": "tcp://10.0.0.1:80", "FERRY_PORT_80_TCP": "tcp://10.0.0.1:80",
            "FERRY_PORT_80_TCP_ADDR": "10.0.0.1", "FERRY_PORT_80_TCP_PROTO": "tcp", "FERRY_PORT_80_TCP_PORT": "80",
            "FERRY_STORAGE_PORT": "tcp://10.0.0.2:9000", "FERRY_SDK": "/sdk", "FERRY_TOKEN": "x", "FERRY_SOAK": "1",
            "FERRY_HTTP_BACKLOG": "", "FERRY_NOTHING": "",
        ]
        #expect(file.problems(links) == [])
        #expect(try file.load(links).sources == [:])
        #expect(file.problems(["FERRY_HTTP_WHATEVER": "80"]).count == 1)
        #expect(
            try file.load(["REDIS_URI": "x", "REDIS_HOST": "h"]).warnings.map(\.description) == [
                "environment variable REDIS_URI: warning: is not known; did you mean REDIS_URL?"
            ])
        #expect(
            try file.load(["FERRY_PORT": "80"]).warnings.map(\.description) == [
                "environment variable FERRY_PORT: warning: is not known; \"ferry config keys\" lists those that are"
            ])
    }
}
