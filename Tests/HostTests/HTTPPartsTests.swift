import FunctionKit
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import Host

/// The parts of the server that need no socket.
struct HTTPPartsTests {
    @Test(arguments: [
        (784_111_777_000, "Sun, 06 Nov 1994 08:49:37 GMT"), (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (1_709_251_199_000, "Thu, 29 Feb 2024 23:59:59 GMT"),
    ])
    func formatsDates(milliseconds: Int64, expected: String) {
        #expect(String(buffer: DateCache.format(Timestamp(milliseconds: milliseconds))) == expected)
    }

    @Test func makesUUIDs() {
        var generator = RequestIDGenerator()
        var seen: Set<String> = []
        for _ in 0..<1000 {
            let id = generator.next()
            #expect(id.wholeMatch(of: /[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/) != nil)
            #expect(seen.insert(id).inserted)
        }
    }

    @Test func sendsNoHeaderThatHandlersMayNotSet() {
        var response = Response.text("x")
        response.headers[.connection] = "close"
        response.headers[.contentLength] = "99"
        response.headers[.transferEncoding] = "chunked"
        response.headers[.date] = "never"
        response.headers[HTTPField.Name("X-Request-Id")!] = "other"
        response.headers[HTTPField.Name("X-Own")!] = "a\r\nSet-Cookie: b\0"
        var buffer = ByteBuffer()
        let rest = ResponseEncoder(requestID: "r").write(response, date: DateCache(), into: &buffer)
        let text = String(buffer: buffer)
        #expect(rest == nil)
        #expect(text.hasPrefix("HTTP/1.1 200 OK\r\ndate: "))
        #expect(text.contains("\r\ncontent-length: 1\r\nx-request-id: r\r\nx-content-type-options: nosniff\r\n"))
        #expect(text.hasSuffix("cross-origin-resource-policy: same-origin\r\n\r\nx"))
        #expect(text.contains("x-own: a  Set-Cookie: b"))
        for absent in ["close", "99", "chunked", "never", "other", "\nSet-Cookie", "strict-transport"] {
            #expect(!text.contains(absent))
        }
    }

    @Test func sendsLargeBodiesByThemselves() {
        var buffer = ByteBuffer()
        let body = ByteBuffer(repeating: 0x61, count: ResponseEncoder.inlineBodyBytes + 1)
        let rest = ResponseEncoder(requestID: "r").write(Response(body: body), date: DateCache(), into: &buffer)
        #expect(rest == body)
        #expect(String(buffer: buffer).hasSuffix("\r\n\r\n"))
    }

    @Test(arguments: [
        ("127.0.0.1:3000", ListenAddress.tcp(host: "127.0.0.1", port: 3000)), ("[::1]:0", .tcp(host: "::1", port: 0)),
        ("localhost:80", .tcp(host: "localhost", port: 80)), ("unix:/run/f", .unix(path: "/run/f")),
        ("::1:80", nil), ("host", nil), (":80", nil), ("a:65536", nil), ("a:-1", nil), ("unix:", nil), ("a:b", nil),
    ])
    func readsListenAddresses(text: String, expected: ListenAddress?) {
        #expect(ListenAddress(text) == expected)
        if let expected { #expect(expected.description == text) }
    }

    @Test func trustsConfiguredProxiesOnly() throws {
        let proxies = try #require(TrustedProxies(["10.0.0.0/8", "::1", "192.168.1.7", "unix", "2001:db8::/33"]))
        for address in ["10.1.2.3", "::1", "192.168.1.7", "unix", "::ffff:10.0.0.1", "2001:db8::5"] {
            #expect(proxies.contains(address), "\(address)")
        }
        for address in ["11.0.0.1", "::2", "192.168.1.8", "x", "2001:db8:8000::1"] {
            #expect(!proxies.contains(address), "\(address)")
        }
        #expect(proxies.client(forwardedFor: "1.1.1.1, 2.2.2.2, 10.0.0.9") == "2.2.2.2")
        #expect(proxies.client(forwardedFor: "10.0.0.8,10.0.0.9") == "10.0.0.8")
        #expect(proxies.client(forwardedFor: "unknown, 10.0.0.9") == nil)
        #expect(!TrustedProxies().contains("unix"))
        for bad in ["x", "10.0.0.0/33", "10.0.0.0/", "::1/129", ""] { #expect(TrustedProxies([bad]) == nil, "\(bad)") }
    }

    @Test func mapsErrors() {
        struct Away: ClassifiedError {
            var errorClass: ErrorClass { .network }
            var isUnavailable: Bool { true }
            var description: String { "secret" }
        }
        struct Other: Error {}
        #expect(ErrorResponse.make(for: HTTPError(.conflict)).error.status == .conflict)
        #expect(ErrorResponse.make(for: Away()).error.status == .serviceUnavailable)
        #expect(ErrorResponse.make(for: Away()).error.headers[.retryAfter] == "1")
        #expect(ErrorResponse.make(for: Away()).isInternal)
        #expect(ErrorResponse.make(for: Other()).error.status == .internalServerError)
        #expect(ErrorResponse.make(for: HTTPError(.ok)).error.status == .internalServerError)
        let detailed = HTTPError.validation([.init(field: "a", problem: "must be \"b\"")])
        let body = String(buffer: ErrorResponse.response(detailed, requestID: "r").body)
        #expect(
            body
                == #"{"error":"Bad Request","code":"validation_failed","message":"The request is not valid; see details.","requestId":"r","details":[{"field":"a","problem":"must be \"b\""}]}"#
        )
        let bare = ErrorResponse.response(HTTPError(418), requestID: "r")
        #expect(String(buffer: bare.body).hasPrefix(#"{"error":"Client Error""#))
    }

    private final class Entry: TimerEntry {
        let fired: @Sendable () -> Void

        init(_ fired: @escaping @Sendable () -> Void) { self.fired = fired }

        override func deadlinePassed(_ now: NIODeadline) {
            #expect(now >= deadline)
            fired()
        }
    }

    @Test func firesTimersAtTheirLatestDeadline() async throws {
        let loop = MultiThreadedEventLoopGroup.singleton.any()
        let fired = Mutex<[String]>([])
        let wheel = try await loop.submit { NIOLoopBound(TimerWheel(loop), eventLoop: loop) }.get()
        let done = OneShot<Void>()
        try await loop.submit {
            let start = NIODeadline.now()
            let moved = Entry { fired.withLock { $0.append("moved") } }
            let sooner = Entry { fired.withLock { $0.append("sooner") } }
            let removed = Entry { fired.withLock { $0.append("removed") } }
            let last = Entry { done.set(()) }
            wheel.value.set(moved, to: start + .milliseconds(70))
            wheel.value.set(moved, to: start + .milliseconds(400))
            wheel.value.set(sooner, to: start + .hours(1))
            wheel.value.set(sooner, to: start + .milliseconds(150))
            wheel.value.set(removed, to: start + .milliseconds(100))
            // One that is put into another slot while the wheel turns must not hide those that are due before it.
            let far = Entry {}
            wheel.value.set(far, to: start + .milliseconds(65))
            wheel.value.set(far, to: start + .seconds(3))
            wheel.value.set(last, to: start + .milliseconds(600))
            #expect(wheel.value.entries.count == 5)
            wheel.value.remove(removed)
        }.get()
        await done.value()
        #expect(fired.withLock { $0.sorted() } == ["moved", "sooner"])
        #expect(try await loop.submit { wheel.value.entries.count }.get() == 1)
    }

    @Test func asksStoresOnceASecondAndInTime() async {
        let calls = Mutex(0)
        struct Down: Error {}
        let monitor = HealthMonitor(
            [
                .init("fine") { calls.withLock { $0 += 1 } },
                .init("down") { throw Down() },
                .init("stuck") { await withUnsafeContinuation { (_: UnsafeContinuation<Void, Never>) in } },
            ], deadline: .milliseconds(100), freshFor: .seconds(60))
        async let first = monitor.report()
        async let second = monitor.report()
        let third = await (first, second).1
        #expect(!third.isHealthy)
        #expect(third.results.map(\.name) == ["fine", "down", "stuck"])
        #expect(third.results.map { $0.failure == nil } == [true, false, false])
        _ = await monitor.report()
        #expect(calls.withLock { $0 } == 1)
    }
}
