import Foundation
import Testing

@testable import Host

@Suite struct ConfigurationSecretTests {
    private static let secret = "a-planted-secret-that-is-long-enough-0123456789"

    @Test func `a secret comes from a file that a variable or the configuration names`() throws {
        let file = try ConfigurationFile("{}")
        let path = try file.write("redis://:\(Self.secret)@h/1\r\n", to: "redis")
        let configuration = try file.load(["REDIS_URL_FILE": path])
        #expect(configuration.redis.url?.value == "redis://:\(Self.secret)@h/1")
        #expect(configuration.sources["redis.url"]?.description == "environment variable REDIS_URL_FILE, file \(path)")
        #expect(configuration.warnings == [])
        // One end of line is not of it; what else there is, is.
        try file.write("\(Self.secret) \n\n", to: "jwt")
        try file.write(#"{"identity": {"jwt": {"secret": {"file": "\#(file.folder)/jwt"}}}}"#, to: "config.json")
        let identity = try file.load().identity
        #expect(identity.secret?.value == "\(Self.secret) \n")
        #expect("\(identity)".contains(Self.secret) == false)
    }

    @Test(arguments: ConfigurationKey.all.filter { $0.kind == .secret }.map(\.path))
    func `every secret can be named by a file`(_ path: String) throws {
        let key = try #require(ConfigurationKey.byPath[path])
        let value =
            switch path {
            case "redis.url": "redis://:\(Self.secret)@h"
            case "history.url": "postgresql://u:\(Self.secret)@h/d"
            default: Self.secret
            }
        let file = try ConfigurationFile("{}")
        let secretFile = try file.write(value + "\n", to: "secret")
        #expect(key.fileVariables.count == key.variables.count)
        for name in key.fileVariables {
            let configuration = try file.load(
                [name: secretFile, "S3_ACCESS_KEY_ID": "id"].filter {
                    path.hasPrefix("storage.secret") || $0.key != "S3_ACCESS_KEY_ID"
                })
            #expect(key.value(in: configuration)?.string == "<redacted>")
            var text = ""
            dump(configuration, to: &text)
            #expect(!text.contains(Self.secret) && !"\(configuration)".contains(Self.secret))
        }
    }

    @Test func `a variable and its file, or a file that is none, are refused`() throws {
        let file = try ConfigurationFile("{}")
        let good = try file.write("redis://h", to: "good")
        let empty = try file.write("\n", to: "empty")
        let large = try file.write("redis://" + String(repeating: "h", count: 64 << 10), to: "large")
        let binary = try file.write("redis://\u{0}", to: "binary")
        #expect(
            file.problems(["REDIS_URL": "redis://h", "REDIS_URL_FILE": good]) == [
                "environment variable REDIS_URL: REDIS_URL_FILE is set too; only one of them may be"
            ])
        for (path, reason) in [
            (empty, "is empty"), (large, "is larger than 65536 bytes"), (binary, "is not text in UTF-8"),
            (file.folder + "/none", "No such file"), ("/dev/zero", "is a pipe, a socket or a device"),
        ] {
            let problem = file.problems(["REDIS_URL_FILE": path]).joined()
            #expect(problem.hasPrefix("environment variable REDIS_URL_FILE: redis.url cannot be read: "))
            #expect(problem.contains(reason), "\(problem)")
        }
        for text in [#"{"fiel": "x"}"#, "{}", #"{"file": 1}"#, "[1]", "12345678"] {
            try file.write(#"{"redis": {"url": \#(text)}}"#, to: "config.json")
            #expect(!file.problems().isEmpty && !file.problems().joined().contains("12345678"), "\(text)")
        }
        try file.write(#"{"log": {"level": {"file": "x"}}}"#, to: "config.json")
        #expect(file.problems().count == 1)
    }

    @Test func `secrets that every user may read are told`() throws {
        let file = try ConfigurationFile(#"{"redis": {"url": "redis://:p@h"}}"#, mode: 0o644)
        let path = try file.write(Self.secret, to: "token", mode: 0o644)
        let warnings = try file.load(["FERRY_ADMIN_TOKEN_FILE": path]).warnings.map(\.description)
        #expect(
            warnings == [
                "\(file.path): warning: holds secrets (redis.url), and every user of this machine may read it",
                "\(path): warning: holds the secret admin.token, and every user of this machine may read it",
            ])
        let closed = try ConfigurationFile(#"{"redis": {"url": "redis://:p@h"}}"#)
        #expect(try closed.load().warnings == [])
    }

    @Test(arguments: [
        #"{"redis": {"url": "http://:SECRET@h"}}"#, #"{"redis": {"url": "redis://:SECRET@h:x"}}"#,
        #"{"redis": {"url": ["SECRET"]}}"#, #"{"redis": "redis://:SECRET@h"}"#, #"{"history": {"url": "SECRET"}}"#,
        #"{"history": {"url": "postgresql://u:p@SECRET@h/d"}}"#, #"{"admin": {"token": "SECRET x"}}"#,
        #"{"storage": {"endpoint": "https://u:SECRET@h"}}"#,
        #"{"storage": {"secretAccessKey": {"file": "SECRET\u0000"}}}"#,
        #"{"identity": {"jwt": {"jwks": "ftp://u:SECRET@h"}}}"#, #"{"identity": {"ticketSecret": "SECRET"}}"#,
        #"{"redis": {"url": "SECRET"#,
    ])
    func `a wrong value does not show a secret`(_ text: String) throws {
        let secret = "pl4nted-s3cret"
        let problems = try ConfigurationFile(text.replacingOccurrences(of: "SECRET", with: secret)).problems()
        #expect(!problems.isEmpty)
        // A file's name is shown; that one cannot be one.
        let isName = text.contains("\"file\"")
        #expect(isName || !problems.joined().contains(secret), "\(problems)")
    }
}
