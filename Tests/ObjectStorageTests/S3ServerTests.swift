import AsyncHTTPClient
import Checksum
import Foundation
import FunctionKit
import Logging
import NIOCore
import NIOHTTP1
import Testing

@testable import ObjectStorage

/// What the environment says of the server.
private enum TestServer {
    static func variable(_ name: String) -> String? { ProcessInfo.processInfo.environment["FERRY_TEST_\(name)"] }
    static let isWanted = variable("S3_ENDPOINT") != nil || variable("REQUIRE_SERVERS") == "1"
}

/// A round trip against a real server, which the environment names: `FERRY_TEST_S3_ENDPOINT`, `_ACCESS`, `_SECRET` and
/// `_BUCKET`. Without it the test is off, unless `FERRY_TEST_REQUIRE_SERVERS=1` asks for it: then it fails.
@Suite(.enabled(if: TestServer.isWanted), .timeLimit(.minutes(2))) struct S3ServerTests {
    private func withStore(_ body: (S3ObjectStore, String) async throws -> Void) async throws {
        let configuration = try S3Configuration(
            bucket: try #require(TestServer.variable("S3_BUCKET")),
            endpoint: S3Endpoint(try #require(TestServer.variable("S3_ENDPOINT"))),
            credentials: S3Credentials(
                accessKeyID: try #require(TestServer.variable("S3_ACCESS")),
                secretAccessKey: S3Secret(try #require(TestServer.variable("S3_SECRET")))),
            retry: S3RetryPolicy(attemptCount: 2, baseDelay: .milliseconds(10)))
        let store = S3ObjectStore(configuration, logger: Logger(label: "test"))
        let prefix = "test-\(UUID().uuidString)/"
        do {
            try await body(store, prefix)
            for object in try await store.list(prefix: prefix, after: nil, limit: 1000) {
                try await store.delete(object.key)
            }
            try await store.shutdown()
        } catch {
            try await store.shutdown()
            throw error
        }
    }

    private func get(_ url: String) async throws -> (status: Int, body: String, disposition: String?) {
        let response = try await HTTPClient.shared.execute(HTTPClientRequest(url: url), timeout: .seconds(10))
        let body = try await response.body.collect(upTo: 1 << 20)
        return (Int(response.status.code), String(buffer: body), response.headers.first(name: "content-disposition"))
    }

    private func text(_ body: ObjectBody?) async throws -> String? {
        guard let body else { return nil }
        var text = ""
        for try await chunk in body.chunks { text += String(buffer: chunk) }
        return text
    }

    @Test(arguments: [
        "plain.zip", "sp ace+plus%25*'~.zip", "ü/日本/😀.zip", "a//b.zip", "q?m#h&=.zip",
        String(repeating: "k", count: 900),
    ])
    func objectsGoThereAndBack(_ name: String) async throws {
        try await withStore { store, prefix in
            try await store.check()
            let key = prefix + name
            var crc = CRC32()
            crc.update(ByteBuffer(string: "123456789"))
            #expect(try await store.head(key) == nil)
            #expect(try await store.read(key, range: nil) == nil)
            try await store.write(
                key, body: ByteBuffer(string: "123456789"), contentType: "application/zip", checksum: crc.value)
            let info = try #require(try await store.head(key))
            #expect(info.sizeBytes == 9 && info.crc32 == crc.value && info.etag != nil && info.modifiedAt != nil)
            #expect(try await text(try await store.read(key, range: nil)) == "123456789")
            #expect(try await text(try await store.read(key, range: 2..<5)) == "345")
            #expect(try await text(try await store.read(key, range: 7..<50)) == "89")
            #expect(try await store.list(prefix: prefix, after: nil, limit: 10).map(\.key) == [key])
            #expect(try await store.list(prefix: prefix, after: key, limit: 10).isEmpty)

            let url = try store.presignedURL(for: key, expiresIn: .seconds(60), fileName: "ü x.zip")
            let got = try await get(url)
            #expect(got.status == 200 && got.body == "123456789")
            #expect(got.disposition?.contains("filename*=UTF-8''%C3%BC%20x.zip") == true)
            #expect(try await get(url.replacing("X-Amz-Expires=60", with: "X-Amz-Expires=61")).status == 403)

            try await store.delete(key)
            try await store.delete(key)
            #expect(try await store.head(key) == nil)
        }
    }

    @Test func wrongChecksumIsRefused() async throws {
        try await withStore { store, prefix in
            await #expect(throws: S3Error.self) {
                try await store.write(prefix + "x", body: ByteBuffer(string: "x"), contentType: "a/b", checksum: 1)
            }
        }
    }

    @Test func uploadsInParts() async throws {
        try await withStore { store, prefix in
            let key = prefix + "big file.zip"
            let upload = try await store.beginUpload(key, contentType: "application/zip")
            #expect(try await store.listUploads(prefix: prefix, after: nil).uploads.map(\.id) == [upload.id])
            let second = try await store.uploadPart(upload, number: 2, body: [ByteBuffer(string: "tail")])
            let size = 5 << 20
            _ = try await store.uploadPart(upload, number: 1, body: [ByteBuffer(repeating: 1, count: size)])
            let first = try await store.uploadPart(
                upload, number: 1,
                body: [ByteBuffer(repeating: 2, count: size - 10), ByteBuffer(repeating: 3, count: 10)])
            try await store.completeUpload(upload, parts: [first, second])
            let info = try #require(try await store.head(key))
            #expect(info.sizeBytes == Int64(size + 4))
            #expect(info.etag == S3MultipartManifest.entityTag([first, second]))
            #expect(try await text(try await store.read(key, range: Int64(size - 1)..<Int64(size + 4))) == "\u{3}tail")
            // The object is there although the upload is not: the same answer as for a reply that was lost.
            try await store.completeUpload(upload, parts: [first, second])
            #expect(try await store.listUploads(prefix: prefix, after: nil).uploads.isEmpty)
        }
    }

    @Test func abortedUploadsAreGone() async throws {
        try await withStore { store, prefix in
            let upload = try await store.beginUpload(prefix + "x", contentType: "a/b")
            try await store.abortUpload(upload)
            try await store.abortUpload(upload)
            #expect(try await store.listUploads(prefix: prefix, after: nil).uploads.isEmpty)
            await #expect(throws: S3Error.self) {
                _ = try await store.uploadPart(upload, number: 1, body: [ByteBuffer(string: "x")])
            }
        }
    }

    @Test func wrongSecretIsRefused() async throws {
        try await withStore { store, prefix in
            let wrong = S3ObjectStore(
                try S3Configuration(
                    bucket: store.bucket, endpoint: store.configuration.endpoint,
                    credentials: S3Credentials(
                        accessKeyID: store.configuration.credentials.accessKeyID, secretAccessKey: S3Secret("wrong"))),
                logger: Logger(label: "test"))
            var code: String?
            do { _ = try await wrong.list(prefix: prefix, after: nil, limit: 1) } catch let error as S3Error {
                code = error.s3Code
            }
            #expect(code == "SignatureDoesNotMatch")
            try await wrong.shutdown()
        }
    }
}
