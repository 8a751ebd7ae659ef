import Foundation
import Logging
import NIOCore
import Synchronization
import Testing

@testable import Emulator

/// A fresh folder, removed with the last reference.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/ferry-emulator-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SystemError("mkdtemp", "/tmp") }
        path = String(decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// The relative paths of all files below a folder in it.
    func files(below folder: String) -> Set<String> {
        Set((FileManager.default.enumerator(atPath: path + "/" + folder)?.allObjects as? [String] ?? []))
    }
}

let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// Counts what is logged as an error.
final class ErrorCount: Sendable {
    private let errors = Mutex(0)

    var count: Int { errors.withLock { $0 } }
    var logger: Logger { Logger(label: "test") { _ in Handler(errors: self) } }

    private struct Handler: LogHandler {
        let errors: ErrorCount
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        init(errors: ErrorCount) { self.errors = errors }

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            if event.level >= .error { errors.errors.withLock { $0 += 1 } }
        }
    }
}

struct Timeout: Error {}

/// Waits for a condition, at most so long.
func eventually(within limit: Duration = .seconds(30), _ condition: () async throws -> Bool) async throws {
    let deadline = ContinuousClock.now + limit
    while try await !condition() {
        guard ContinuousClock.now < deadline else { throw Timeout() }
        try await Task.sleep(for: .milliseconds(10))
    }
}

extension S3FileStore {
    /// Writes an object as the endpoint does.
    @discardableResult
    func write(_ bytes: [UInt8], to bucket: String, _ key: String, contentType: String? = nil) throws -> String {
        let staged = try stage()
        try bytes.withUnsafeBytes { try staged.append($0) }
        let digests = staged.finish()
        let fields = contentType.map { [ObjectMetadata.Field(name: "content-type", value: $0)] } ?? []
        try commit(
            staged, to: bucket, try #require(ObjectKey(key)),
            ObjectMetadata(etag: digests.etag, crc32: digests.crc32, fields: fields))
        return digests.etag
    }

    func read(_ bucket: String, _ key: String) throws -> [UInt8]? {
        guard let object = try open(bucket, #require(ObjectKey(key))) else { return nil }
        return Array(buffer: try object.file.read(at: 0, count: Int(object.sizeBytes)))
    }

    func keys(_ bucket: String, prefix: String = "") throws -> [String] {
        try list(bucket, prefix: prefix).items.map(\.marker)
    }
}

/// Keys whose folders do not make the tests slow, and one that lies deep.
let storedKeys =
    awkwardKeys.filter { $0.utf8.count { $0 == UInt8(ascii: "/") } < 100 } + [String(repeating: "x/", count: 200)]

/// Keys that are hard on paths, URLs and comparisons.
let awkwardKeys = [
    "plain.zip", "downloads/70000.zip", "a", "a/b", "a/b/c", "a/", "a//b", "a//", "//", "/leading", "/", "trailing/",
    ".", "..", "./a", "../../etc/passwd", "a/../b", "a/.", "...", ".hidden", "%", "%-", "%+", "%2E", "100%", "a%",
    "x%+", "%m1.2", "a%m1.2", "with space", " lead", "trail ", "plus+plus", "new\nline", "tab\t", "\u{1}\u{7F}",
    "naïve", "nai\u{308}ve", "日本語/ファイル", "😀", "\u{202E}rtl", "q?m#h&a=1", "back\\slash", "quote\"'", "CON",
    String(repeating: "a", count: 200), String(repeating: "a", count: 201), String(repeating: "a", count: 1024),
    String(repeating: "a", count: 198) + "/x", String(repeating: "a", count: 198), String(repeating: "ü", count: 512),
    String(repeating: "%", count: 1024), String(repeating: "\u{1}", count: 1024),
    String(repeating: "x/", count: 512), String(repeating: "/", count: 1024),
    String(repeating: "b", count: 210) + "-1", String(repeating: "b", count: 210) + "/1",
    String(repeating: "b", count: 210) + "0", String(repeating: "b", count: 210),
]
