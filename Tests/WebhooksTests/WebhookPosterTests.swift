import FunctionKit
import NIOCore
import NIOSSL
import Synchronization
import Testing

@testable import Webhooks

@Suite struct WebhookPosterTests {
    private static let ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

    private func message(
        _ host: String, _ port: Int, path: String = "/hook?k=v", scheme: String = "http"
    ) -> WebhookMessage {
        WebhookMessage(
            url: "\(scheme)://\(host):\(port)\(path)", id: "job-1-ready", attempt: 3,
            body: ByteBuffer(string: #"{"a":1}"#))
    }

    private func failure(_ poster: WebhookPoster, _ message: WebhookMessage) async -> WebhookFailure.Reason? {
        do {
            _ = try await poster.post(message)
            return nil
        } catch {
            return (error as? WebhookFailure)?.reason
        }
    }

    @Test func `a message arrives with its head, its body and a signature over both`() async throws {
        try await WebhookBench.with { bench in
            let receiver = try await bench.receiver(Self.ok)
            let poster = try bench.poster(allow: ["127.0.0.0/8"], allowsHTTP: true)
            #expect(try await poster.post(message("127.0.0.1", receiver.port)) == WebhookAnswer(status: 200))
            let text = try #require(receiver.seen.requests.withLock { $0.first })
            let lines = text.split(separator: "\r\n", omittingEmptySubsequences: false)
            #expect(lines.first == "POST /hook?k=v HTTP/1.1")
            #expect(lines.last == #"{"a":1}"#)
            #expect(lines.contains("Host: 127.0.0.1:\(receiver.port)") && lines.contains("Ferry-Id: job-1-ready"))
            #expect(lines.contains("Ferry-Attempt: 3") && lines.contains("Content-Type: application/json"))
            func field(_ name: String) throws -> Substring {
                try #require(lines.first { $0.hasPrefix("\(name): ") }?.dropFirst(name.count + 2))
            }
            let seconds = try #require(Int64(try field("Ferry-Timestamp")))
            #expect(abs(seconds - Timestamp.now.milliseconds / 1000) < 30)
            let signer = try WebhookSigner(secret: Array("0123456789abcdef0123456789abcdef".utf8))
            #expect(try field("Ferry-Signature") == signer.signature(of: #"{"a":1}"#.utf8, at: seconds))
        }
    }

    /// Made with `openssl dgst -sha256 -hmac` (OpenSSL 3.0).
    @Test func `the signature is HMAC-SHA-256 over time, dot and body`() throws {
        let signer = try WebhookSigner(secret: Array("0123456789abcdef0123456789abcdef".utf8))
        #expect(
            signer.signature(of: #"{"a":1}"#.utf8, at: 1_700_000_000)
                == "v1=f05f2539e3ae1c49aec5f8cfdad75ef6b06480b133973ffbb7ec9e18827af177")
        #expect(
            signer.signature(of: "".utf8, at: 0)
                == "v1=b5b3fbed5b59d925316d6d39db497aba70820961dda53dfe23a87559dab1eb6b")
        #expect(throws: (any Error).self) { try WebhookSigner(secret: Array("short".utf8)) }
    }

    @Test(arguments: ["localhost", "localhost.", "LOCALHOST"])
    func `a name that leads to a private address is refused without a connection`(_ host: String) async throws {
        try await WebhookBench.with { bench in
            let receiver = try await bench.receiver(Self.ok)
            let poster = try bench.poster(allow: ["10.0.0.0/8"], allowsHTTP: true)
            #expect(await failure(poster, message(host, receiver.port)) == .refused)
            #expect(receiver.seen.connections.withLock { $0 } == 0)
        }
    }

    @Test func `a name is connected to at its address`() async throws {
        try await WebhookBench.with { bench in
            let receiver = try await bench.receiver(Self.ok)
            let poster = try bench.poster(allow: ["127.0.0.0/8", "::1"], allowsHTTP: true)
            #expect(try await poster.post(message("localhost", receiver.port)).status == 200)
            let text = try #require(receiver.seen.requests.withLock { $0.first })
            #expect(text.contains("\r\nHost: localhost:\(receiver.port)\r\n"))
        }
    }

    @Test func `an unknown name and a closed port are told apart`() async throws {
        try await WebhookBench.with { bench in
            let poster = try bench.poster(allow: ["127.0.0.0/8"], allowsHTTP: true)
            #expect(await failure(poster, message("nobody.invalid", 80)) == .unknownName)
            let receiver = try await bench.receiver(Self.ok)
            #expect(await failure(poster, message("127.0.0.9", receiver.port)) == .unreachable)
        }
    }

    @Test(arguments: [
        ("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:PORT/other\r\ncontent-length: 0\r\n\r\n", 302, nil),
        ("HTTP/1.1 204 No Content\r\n\r\n", 204, nil),
        ("HTTP/1.1 503 Busy\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n", 503, Duration.seconds(7)),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n", 201, nil),
        ("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\ncut", 200, nil),
    ])
    func `the head of the answer counts, and no redirect is followed`(
        _ answer: String, _ status: Int, _ wait: Duration?
    ) async throws {
        try await WebhookBench.with { bench in
            let receiver = try await bench.receiver(answer, closes: true)
            let poster = try bench.poster(allow: ["127.0.0.1"], allowsHTTP: true)
            let found = try await poster.post(message("127.0.0.1", receiver.port))
            #expect(found == WebhookAnswer(status: status, retryAfter: wait))
            #expect(receiver.seen.connections.withLock { $0 } == 1)
        }
    }

    @Test func `a long body is read to a bound, and one that never ends no longer than the deadline`() async throws {
        try await WebhookBench.with { bench in
            let poster = try bench.poster(allow: ["127.0.0.1"], allowsHTTP: true, timeout: .seconds(1))
            let head = "HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n"
            let long = try await bench.receiver(head + String(repeating: "x", count: 100_000))
            let start = ContinuousClock.now
            let patient = try bench.poster(allow: ["127.0.0.1"], allowsHTTP: true, timeout: .seconds(60))
            #expect(try await patient.post(message("127.0.0.1", long.port)).status == 200)
            #expect(ContinuousClock.now - start < .seconds(30))
            let slow = try await bench.receiver(head)
            #expect(try await poster.post(message("127.0.0.1", slow.port)).status == 200)
        }
    }

    @Test func `silence ends with the deadline, and nonsense at once`() async throws {
        try await WebhookBench.with { bench in
            let poster = try bench.poster(allow: ["127.0.0.1"], allowsHTTP: true, timeout: .milliseconds(300))
            let silent = try await bench.receiver("")
            #expect(await failure(poster, message("127.0.0.1", silent.port)) == .timeout)
            let patient = try bench.poster(allow: ["127.0.0.1"], allowsHTTP: true)
            let odd = try await bench.receiver("SSH-2.0-OpenSSH\r\n\r\n")
            #expect(await failure(patient, message("127.0.0.1", odd.port)) == .broken)
            let gone = try await bench.receiver("", closes: true)
            #expect(await failure(patient, message("127.0.0.1", gone.port)) == .broken)
        }
    }

    @Test func `a call that is cancelled ends`() async throws {
        try await WebhookBench.with { bench in
            let receiver = try await bench.receiver("")
            let poster = try bench.poster(allow: ["127.0.0.1"], allowsHTTP: true, timeout: .seconds(60))
            let call = Task { try await poster.post(message("127.0.0.1", receiver.port)) }
            let deadline = ContinuousClock.now + .seconds(20)
            while receiver.seen.requests.withLock({ $0.isEmpty }), ContinuousClock.now < deadline {
                try await Task.sleep(for: .milliseconds(2))
            }
            call.cancel()
            await #expect(throws: CancellationError.self) { try await call.value }
        }
    }

    @Test func `a certificate must be trusted, and for the name`() async throws {
        try await WebhookBench.with { bench in
            let authority = try TestCertificate()
            let server = try NIOSSLContext(configuration: authority.server)
            let receiver = try await bench.receiver(Self.ok, tls: server)
            var tls = TLSConfiguration.makeClientConfiguration()
            tls.trustRoots = .certificates([authority.certificate])
            let trusting = try bench.poster(allow: ["127.0.0.0/8", "::1"], tls: tls)
            // The certificate is for localhost and 127.0.0.1.
            #expect(try await trusting.post(message("localhost", receiver.port, scheme: "https")).status == 200)
            #expect(try await trusting.post(message("127.0.0.1", receiver.port, scheme: "https")).status == 200)
            let other = message("127.0.0.1.nip.invalid", receiver.port, scheme: "https")
            #expect(await failure(trusting, other) == .unknownName)
            let strict = try bench.poster(allow: ["127.0.0.0/8", "::1"])
            #expect(await failure(strict, message("localhost", receiver.port, scheme: "https")) == .untrusted)
            let misnamed = try await bench.receiver(
                Self.ok, tls: try NIOSSLContext(configuration: authority.misnamedServer))
            tls.trustRoots = .certificates([authority.misnamed])
            let careful = try bench.poster(allow: ["127.0.0.0/8", "::1"], tls: tls)
            #expect(await failure(careful, message("localhost", misnamed.port, scheme: "https")) == .untrusted)
            #expect(misnamed.seen.requests.withLock { $0.isEmpty })
        }
    }

    @Test(arguments: [
        ("0", Duration.zero), ("120", .seconds(120)), ("99999999999", .seconds(31_536_000)),
        ("Sun, 06 Nov 1994 08:49:37 GMT", .zero), ("Tue, 14 Nov 2023 22:13:50 GMT", .seconds(30)),
        ("", nil), ("-1", nil), ("1.5", nil), ("soon", nil), ("Sun, 06 Nov 1994 08:49:37", nil),
        ("Sun, 06 Foo 1994 08:49:37 GMT", nil), ("1994-11-06T08:49:37Z", nil),
    ])
    func `Retry-After is seconds or a date`(_ text: String, _ wanted: Duration?) {
        let now = Timestamp(milliseconds: 1_700_000_000_000)
        #expect(RetryAfterField.duration(text, at: now) == wanted)
    }
}
