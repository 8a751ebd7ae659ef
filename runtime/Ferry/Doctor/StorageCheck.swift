import AsyncHTTPClient
import Emulator
import FunctionKit
import Host
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import ObjectStorage

/// What `ferry doctor` looks at in the S3 store: an object is written, read as a client reads it, and deleted.
struct StorageCheck: Sendable {
    private let configuration: Configuration
    private let dataFolder: String

    init(_ configuration: Configuration, _ dataFolder: String) {
        self.configuration = configuration
        self.dataFolder = dataFolder
    }

    func findings() async -> [Finding] {
        let store: S3ObjectStore
        do {
            guard let settings = try settings() else {
                let port = configuration.storage.port
                return [
                    .ok(
                        "storage",
                        "not running; a host starts its S3 endpoint \(port == 0 ? "" : "on port \(port) ")over \(dataFolder)/s3"
                    )
                ]
            }
            store = S3ObjectStore(
                settings, eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: Logger(label: "ferry"))
        } catch {
            return [.failed("storage", "\(error)", mend: "correct the keys storage.… of the configuration")]
        }
        let findings = await roundTrip(store)
        // Nothing is under way any more, and the process ends soon.
        try? await store.shutdown()
        return findings
    }

    /// The store that is configured, or the one that a host of the data folder serves; `nil` when none does.
    private func settings() throws -> S3Configuration? {
        let storage = configuration.storage
        let retry = S3RetryPolicy(attemptCount: 1)
        if let endpoint = storage.endpoint {
            return try S3Configuration(
                bucket: storage.bucket, region: storage.region, endpoint: try S3Endpoint(endpoint),
                publicEndpoint: try storage.publicEndpoint.map { try S3Endpoint($0) },
                addressing: storage.addressing == .path ? .path : .virtualHost,
                credentials: try S3Credentials.resolve(
                    accessKeyID: storage.accessKeyID,
                    secretAccessKey: storage.secretAccessKey.map { S3Secret($0.value) },
                    sessionToken: storage.sessionToken.map { S3Secret($0.value) }), timeout: .seconds(2), retry: retry)
        }
        guard let local = try LocalS3.running(dataFolder: dataFolder) else { return nil }
        return try S3Configuration(
            bucket: local.bucket, region: local.region, endpoint: try S3Endpoint(local.endpoint), addressing: .path,
            credentials: S3Credentials(
                accessKeyID: local.accessKeyId, secretAccessKey: S3Secret(local.secretAccessKey)),
            timeout: .seconds(2), retry: retry)
    }

    private func roundTrip(_ store: S3ObjectStore) async -> [Finding] {
        let key = "ferry-doctor-\(String(UInt64.random(in: 0 ... .max), radix: 16)).txt"
        let body = ByteBuffer(string: "ferry doctor \(key)\n")
        do {
            try await store.write(key, body: body, contentType: "text/plain", checksum: nil)
        } catch {
            return [
                .failed(
                    "storage", "an object cannot be written: \(error)",
                    mend:
                        "check storage.endpoint, storage.bucket (it must exist) and the credentials with their rights to put, get and delete"
                )
            ]
        }
        var findings = await presigned(store, key, body)
        do {
            try await store.delete(key)
        } catch {
            findings.append(
                .failed(
                    "storage", "\(key) cannot be deleted: \(error)", mend: "allow s3:DeleteObject; delete it by hand"))
        }
        return findings
    }

    private func presigned(_ store: S3ObjectStore, _ key: String, _ body: ByteBuffer) async -> [Finding] {
        let mend = "check storage.publicEndpoint: downloads are fetched from there, by clients too"
        do {
            let url = try store.presignedURL(for: key, expiresIn: .seconds(60), fileName: nil)
            let before = Timestamp.now
            let response = try await HTTPClient.shared.execute(HTTPClientRequest(url: url), timeout: .seconds(2))
            let after = Timestamp.now
            let found = try await response.body.collect(upTo: 1 << 16)
            guard response.status == .ok else {
                return [.failed("storage", "a presigned URL is answered \(response.status.code)", mend: mend)]
            }
            guard found == body else {
                return [.failed("storage", "a presigned URL gives something else than what was written", mend: mend)]
            }
            var findings = [Finding.ok("storage", "bucket \(store.bucket): put, presigned get, delete")]
            if let date = response.headers.first(name: "date").flatMap(Self.time) {
                // The field has whole seconds.
                let skew = Duration.milliseconds(
                    date.milliseconds + 500 - (before.milliseconds + after.milliseconds) / 2)
                findings.append(HostCheck.clock("the store", skew: skew, precision: .milliseconds(500)))
            }
            return findings
        } catch {
            // Not the error itself: it may hold the URL with its signature.
            return [.failed("storage", "the host of a presigned URL cannot be reached", mend: mend)]
        }
    }

    /// A date of HTTP (RFC 9110 section 5.6.7), in the form that servers must send.
    static func time(_ text: String) -> Timestamp? {
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        let words = text.split(separator: " ").map(String.init)
        guard words.count == 6, words[5] == "GMT", let month = months.firstIndex(of: words[2]) else { return nil }
        let number = month + 1 < 10 ? "0\(month + 1)" : "\(month + 1)"
        return Timestamp(rfc3339: "\(words[3])-\(number)-\(words[1])T\(words[4])Z")
    }
}
