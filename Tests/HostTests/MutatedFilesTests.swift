import BullQueue
import Foundation
import FunctionKit
import NIOCore
import TestSupport
import Testing

@testable import Host

/// Files that people write, after what people do to them: reading one ends, and gives a value or problems within the file.
@Suite struct MutatedFilesTests {
    /// How many texts of each kind; the same ones each time.
    static let count = ProcessInfo.processInfo.environment["FERRY_SOAK"] == "1" ? 20_000 : 2_000
    /// A reading that takes longer hangs, for whoever waits; it is milliseconds even in a debug build.
    private static let patience = Duration.seconds(5)

    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    private static func files(_ folder: String, _ name: (String) -> Bool) -> [String] {
        let folder = root.appendingPathComponent(folder)
        let paths = (FileManager.default.enumerator(atPath: folder.path)?.allObjects as? [String] ?? []).sorted()
        return paths.filter { name(($0 as NSString).lastPathComponent) }.compactMap {
            try? String(contentsOf: folder.appendingPathComponent($0), encoding: .utf8)
        }
    }

    private static let manifests =
        files("functions") { $0 == "function.json" } + files("Tests/Fixtures/functions") { $0 == "function.json" } + [
            #"{"queue": "q", "on": "process", "retry": {"attempts": 5, "backoff": "fixed", "delay": "1s", "jitter": 0.5}}"#,
            #"{"schedule": "30 0 3 L * ?", "timezone": "Europe/Berlin", "timeout": "10m", "concurrency": 2}"#,
            #"{"websocket": "/a/:b", "maxMessage": "64MiB", "compression": "context", "queueLimit": 1, "executor": "pool"}"#,
            #"{"http": "M-SEARCH /ä/~x", "handler": "Pages.Put", "maxBody": "64KiB", "rateLimit": ["reads", "streams"]}"#,
        ]

    /// Runs a reading, and notes one that takes too long.
    private func timed<Output>(_ text: [UInt8], _ body: () throws -> Output) rethrows -> Output {
        let began = ContinuousClock.now
        let output = try body()
        if ContinuousClock.now - began > Self.patience {
            Issue.record("it took \(ContinuousClock.now - began): \(shown(text))")
        }
        return output
    }

    private func shown(_ text: [UInt8]) -> String {
        "\(text.count) bytes: \(String(decoding: text.prefix(2000), as: UTF8.self).debugDescription)"
    }

    /// Expects that a problem stands within its text.
    private func expect(_ problem: FileProblem, within text: [UInt8]) {
        let lines = text.split(separator: 0x0A, omittingEmptySubsequences: false)
        guard let line = problem.line, let column = problem.column else { return }
        let isInside = (1...lines.count).contains(line) && (1...lines[line - 1].count + 1).contains(column)
        let isPlain = problem.description.unicodeScalars.allSatisfy {
            $0 == "\n" || $0.properties.generalCategory != .control
        }
        #expect(isInside && isPlain && !problem.reason.isEmpty, "\(problem): \(shown(text))")
    }

    @Test func `a mutated manifest is a manifest or has problems in it`() {
        var mutator = TextMutator(
            seed: 1, corpus: Self.manifests,
            words: ["http", "queue", "timeout", "GET /x/:y", "30s", "64KiB", "* * * * *", "@daily"])
        var valid = 0
        for _ in 0..<Self.count {
            let text = mutator.next()
            let result = timed(text) { ManifestDecoder().decode(text, file: "function.json") }
            #expect((result.manifest == nil) == !result.problems.isEmpty, "\(shown(text))")
            for problem in result.problems { expect(problem, within: text) }
            if let manifest = result.manifest {
                valid += 1
                if case .schedule(let pattern, let zone) = manifest.trigger, let zone = TimeZone(identifier: zone) {
                    _ = timed(text) { try? CronPattern(pattern).next(after: .now, in: zone) }
                }
            }
        }
        #expect(valid > 0 && valid < Self.count, "the mutator is too weak or too strong: \(valid)")
    }

    @Test func `a mutated configuration is one or has problems in it`() throws {
        let path = NSTemporaryDirectory() + "ferry-config-\(UUID().uuidString).json"
        defer { try? FileManager.default.removeItem(atPath: path) }
        var mutator = TextMutator(
            seed: 2, corpus: [Self.configuration, "{}", #"{"http": {"listen": ["127.0.0.1:0"]}}"#],
            words: [
                "30s", "500ms", "1MiB", "127.0.0.1:1", "[::1]:1", "10.0.0.0/8", "unix:/x", "https://h", "jwt", "\"*\"",
            ])
        var variables = TextMutator(
            seed: 3,
            corpus: [
                "redis://u:p@h:1/2", "unix:/a?db=1", "https://h:1/p", "bucket-name", "debug", "json",
                "postgresql://u:p@h/d",
            ])
        let names = ConfigurationKey.all.flatMap(\.variables)
        var generator = SeededGenerator(seed: 4)
        var valid = 0
        for _ in 0..<Self.count {
            let text = mutator.next()
            try Data(text).write(to: URL(fileURLWithPath: path))
            var environment: [String: String] = [:]
            for variable in names where Int.random(in: 0..<64, using: &generator) == 0 {
                environment[variable] = String(decoding: variables.next(), as: UTF8.self)
            }
            do {
                _ = try timed(text) { try Configuration.load(file: path, environment: environment) }
                valid += 1
            } catch let error as Configuration.Invalid {
                #expect(!error.problems.isEmpty)
                for problem in error.problems where problem.file == path { expect(problem, within: text) }
            }
        }
        #expect(valid < Self.count)
    }

    @Test func `the whole configuration is right as it stands`() throws {
        let path = NSTemporaryDirectory() + "ferry-config-\(UUID().uuidString).json"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try Data(Self.configuration.utf8).write(to: URL(fileURLWithPath: path))
        _ = try Configuration.load(file: path, environment: [:])
    }

    @Test func `mutated cron patterns have a next time, none, or problems`() {
        let corpus = [
            "*/5 * * * *", "30 0 3 L * ?", "0 0 29 2 *", "0 0 * * MON#2", "0 0 * * LFRI",
            "1-5/2,7 8-18/2 1,15 JAN-MAR MON-SUN", "@yearly",
            "59 59 23 31 12 7",
        ]
        var mutator = TextMutator(
            seed: 5, corpus: corpus, words: ["L", "#5", "MON", "DEC", "0-59", "*/7", "?", "31", "29", "2"])
        let zones = ["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/Nuuk"].compactMap(
            TimeZone.init(identifier:))
        for number in 0..<Self.count {
            let text = mutator.next()
            let pattern = String(decoding: text, as: UTF8.self)
            let problems = timed(text) { CronPattern.problems(in: pattern) }
            let read = try? CronPattern(pattern)
            #expect((read == nil) == !problems.isEmpty, "\(shown(text))")
            guard let read else { continue }
            let start = Timestamp(milliseconds: Int64(number) * 676_543_210)
            let next = timed(text) { read.next(after: start, in: zones[number % zones.count]) }
            if let next { #expect(next > start, "\(pattern)") }
        }
    }

    @Test func `mutated durations, sizes, addresses and networks are read or refused`() {
        var mutator = TextMutator(
            seed: 6,
            corpus: [
                "500ms", "30s", "10m", "1h", "64KiB", "2GiB", "127.0.0.1:3000", "[::1]:3000", "unix:/tmp/x",
                "10.0.0.0/8", "fe80::/10", "::ffff:1.2.3.4", "unix",
            ])
        for _ in 0..<Self.count {
            let text = String(decoding: mutator.next(), as: UTF8.self)
            if let duration = UnitText.duration(text) { #expect(duration >= .zero || text.hasPrefix("-"), "\(text)") }
            _ = UnitText.byteCount(text)
            _ = RoutePattern.key(method: "GET", path: text)
            _ = try? RoutePattern(text)
            if let address = ListenAddress(text) { #expect(ListenAddress("\(address)") == address, "\(text)") }
            if let networks = TrustedProxies([text]) { _ = networks.contains("127.0.0.1") }
            _ = TrustedProxies(["10.0.0.0/8"])?.client(forwardedFor: text)
            _ = Timestamp(rfc3339: text)
        }
    }

    @Test func `mutated JSON is read as it is written, or its first wrong place is named`() throws {
        var mutator = TextMutator(seed: 7, corpus: Self.manifests + [Self.configuration])
        for _ in 0..<Self.count {
            let text = mutator.next()
            do {
                let json = try timed(text) { try PositionedJSON.parse(text) }
                for isPretty in [false, true] {
                    let again = try PositionedJSON.parse(Array(json.text(isPretty: isPretty).utf8))
                    #expect(again.text() == json.text(), "\(shown(text))")
                }
                // What it takes, another reader takes too, but for numbers that it has no type for.
                do {
                    _ = try JSONSerialization.jsonObject(with: Data(text), options: .fragmentsAllowed)
                } catch {
                    #expect("\(error)".contains("is not representable"), "\(error): \(shown(text))")
                }
            } catch let error as PositionedJSON.SyntaxError {
                expect(FileProblem(error, in: "x"), within: text)
            }
        }
    }

    @Test func `mutated fixtures, event data and sources of functions are read or refused`() {
        let fixtures =
            Self.files("Tests/Fixtures/functions") { $0.hasSuffix(".json") && $0 != "function.json" }
            + Self.files("functions") { $0.hasSuffix(".json") && $0 != "function.json" } + [
                #"{"method": "GET", "path": "/", "headers": {"a": "b"}, "body": {"a": 1}, "expect": {"status": 200, "headers": {}, "body": {}}}"#,
                #"{"job": {"data": {}, "attempt": 1}, "expect": {"outcome": "retry", "retryAfterMs": 5}}"#,
            ]
        var mutator = TextMutator(
            seed: 8, corpus: fixtures, words: ["expect", "body", "status", "bodyBase64", "messages", "events"])
        let triggers: [FunctionManifest.Trigger] = [
            .http(method: "POST", path: "/a/:b"), .cloudEvents(method: "POST", path: "/a"), .sse(path: "/a"),
            .webSocket(path: "/a"),
            .queue(name: "q", on: .process), .queue(name: "q", on: .failed),
            .schedule(pattern: "@daily", timeZone: "UTC"),
        ]
        for number in 0..<Self.count {
            let text = mutator.next()
            let manifest = FunctionManifest(trigger: triggers[number % triggers.count])
            _ = timed(text) { try? InvocationInput(ByteBuffer(bytes: text), for: manifest, requestID: "x") }
            if let json = try? PositionedJSON.parse(text) { _ = try? Expectation(of: json) }
        }
        var sources = TextMutator(
            seed: 9, corpus: Self.files("functions") { $0.hasSuffix(".swift") },
            words: ["\"\"\"", "#\"", "/*", "*/", "struct", "extension", "`", "\\(", ": HTTPFunction"])
        for _ in 0..<Self.count / 4 {
            let text = sources.next()
            _ = timed(text) { SwiftTokens.tokens(of: text) }
        }
    }

    /// Every key, with a value that it may have.
    private static let configuration = #"""
        {
          "http": {"listen": ["127.0.0.1:3000", "[::1]:3000", "unix:/tmp/x"], "loops": 2, "backlog": 512, "maxConnections": 10,
            "maxHeaderBytes": "16KiB", "maxHeaderFields": 100, "headTimeout": "20s", "bodyTimeout": "135s", "bodyPauseTimeout": "20s",
            "idleTimeout": "75s", "writePauseTimeout": "30s", "heartbeat": "15s", "reconnectDelay": "2s", "pingInterval": "30s",
            "drainTimeout": "30s", "trustedProxies": ["127.0.0.1", "10.0.0.0/8", "::1", "unix"], "accessLog": true,
            "tls": {"certificate": "/a.pem", "key": "/b.pem"}},
          "cors": {"origins": ["https://a.test"], "maxAge": "600s"},
          "redis": {"url": "redis://u:p@127.0.0.1:6379/1", "commandTimeout": "5s", "server": "/usr/bin/redis-server"},
          "storage": {"endpoint": "http://127.0.0.1:9000", "publicEndpoint": "https://a.test", "region": "us-east-1", "bucket": "ferry",
            "addressing": "path", "accessKeyID": "a", "secretAccessKey": "b", "sessionToken": "c", "timeout": "30s", "attempts": 3,
            "retryDelay": "1s", "retryMaxDelay": "30s", "port": 0},
          "history": {"path": "/tmp/h.sqlite", "url": "postgresql://u:p@h/d", "connections": 4, "timeout": "10s"},
          "queue": {"prefix": "bull", "lockDuration": "8s", "stalledCheck": "3s", "stalledGate": "2500ms", "maxStalledCount": 1,
            "scheduleCheck": "30s"},
          "admin": {"listen": "127.0.0.1:3001", "token": "0123456789abcdef0"},
          "record": {"redact": ["pin"], "maxFiles": 1000, "maxSize": "64MiB", "maxFileSize": 262144},
          "isolation": {"maxProcesses": 4, "idleTime": "60s", "openFiles": 4096},
          "identity": {"mode": "jwt", "header": "x-user-id", "admins": ["a"], "ticketSecret": "01234567890123456789012345678901",
            "jwt": {"jwks": "https://a.test/keys", "issuer": "i", "audience": "a", "leeway": "30s", "adminClaim": "role",
              "adminValue": "admin", "refresh": "10m"}},
          "limits": {"enabled": true, "onStoreFailure": "open", "budgets": {"jobs": {"per": "user", "count": 10, "window": "1h"},
            "own": {"per": "address", "count": 1}}},
          "log": {"level": "info", "format": "text", "file": true, "keep": "16MiB"},
          "downloads": {"sourceKey": "downloads/{file_id}.zip", "archivePrefix": "archives/", "urlLifetime": "1h", "archiveLifetime": "168h",
            "recordRetention": "720h", "progressInterval": "250ms", "partSize": "8MiB", "fetchAhead": 4, "fetchAheadSize": "32MiB",
            "fileTimeout": "60s", "onMissing": "skip", "startDelay": "0s", "attempts": 3, "retryDelay": "2s", "keepCompleted": "1h",
            "sweepGrace": "1h", "idempotencyLifetime": "24h", "reconcileInterval": "2s", "reconcileAge": "5s", "reconcileLease": "15s"}
        }
        """#
}
