import FunctionKit
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import Host

private let hello = HTTPTestServer.function("hello", "GET", "/hello/:name") { request, _ in
    .text("Hello, \(request.parameter("name") ?? "?")!")
}
private let echo = HTTPTestServer.function("echo", "POST", "/echo", maxBodyBytes: 100_000) { request, _ in
    Response(headers: [.contentType: "application/octet-stream"], body: request.body)
}
private let pooled = HTTPTestServer.function("pooled", "GET", "/pooled", executor: .pool) { request, _ in
    .text(request.query)
}

/// The server over live sockets: messages, framing and limits.
struct HTTPServerTests {
    /// Checks the one shape of errors.
    private func expectError(
        _ response: RawResponse, _ status: Int, _ code: String, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        struct Body: Decodable {
            let error: String
            let code: String
            let message: String
            let requestId: String
        }
        #expect(response.status == status, sourceLocation: sourceLocation)
        #expect(response["content-type"] == "application/json", sourceLocation: sourceLocation)
        let body = try JSON.decode(Body.self, from: response.body)
        #expect(body.code == code, sourceLocation: sourceLocation)
        #expect(body.requestId == response["x-request-id"], sourceLocation: sourceLocation)
        #expect(!body.message.isEmpty && !body.error.isEmpty, sourceLocation: sourceLocation)
    }

    @Test func keepsConnectionsAndOwnsHeaders() async throws {
        try await HTTPTestServer.with([hello, pooled]) { server in
            let client = try await server.connect()
            for name in ["a", "b%20c"] {
                try await client.send("GET /hello/\(name) HTTP/1.1\r\nHost: t\r\nx-request-id: id-\(name)\r\n\r\n")
                let response = try await client.response()
                #expect(response.status == 200)
                #expect(response.body == "Hello, \(name.replacing("%20", with: " "))!")
                #expect(response["x-request-id"] == "id-\(name)")
                #expect(response["x-content-type-options"] == "nosniff")
                #expect(response["x-frame-options"] == "SAMEORIGIN")
                #expect(response["referrer-policy"] == "no-referrer")
                #expect(response["cross-origin-opener-policy"] == "same-origin")
                #expect(response["cross-origin-resource-policy"] == "same-origin")
                #expect(response["strict-transport-security"] == nil)
                #expect(response["date"]?.hasSuffix(" GMT") == true)
                #expect(response["connection"] == nil)
            }
            try await client.send("GET /pooled?x=1 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
            let last = try await client.response()
            #expect(last.body == "x=1")
            #expect(last["connection"] == "close")
            #expect(last["x-request-id"]?.count == 36)
            try await client.untilClosed()
            await eventually("the access log") { server.log.lines("request").count == 3 }
            let line = server.log.lines("request")[0].metadata
            #expect(line["path"] == "/hello/a" && line["status"] == "200" && line["function"] == "hello")
            #expect(line["remote"] == "127.0.0.1" && line["request_id"] == "id-a")
        }
    }

    @Test(arguments: [true, false])
    func answersPipelinedRequestsInOrder(cutsEverywhere: Bool) async throws {
        try await HTTPTestServer.with([hello, pooled, echo]) { server in
            let client = try await server.connect()
            var text = ""
            for index in 0..<50 {
                text += "GET /pooled?\(index) HTTP/1.1\r\nHost: t\r\n\r\n"
                text += "GET /hello/\(index) HTTP/1.1\r\nHost: t\r\n\r\n"
                text += "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n\(index % 10)!"
            }
            if cutsEverywhere {
                for byte in text.utf8.prefix(600) { try await client.send(String(Unicode.Scalar(byte))) }
                text = String(decoding: text.utf8.dropFirst(600), as: UTF8.self)
            }
            try await client.send(text)
            for index in 0..<50 {
                #expect(try await client.response().body == "\(index)")
                #expect(try await client.response().body == "Hello, \(index)!")
                #expect(try await client.response().body == "\(index % 10)!")
            }
            client.close()
        }
    }

    @Test func boundsReadAhead() async throws {
        let gate = OneShot<Void>()
        let slow = HTTPTestServer.function("slow", "GET", "/slow") { _, _ in
            await gate.value()
            return .text("done")
        }
        try await HTTPTestServer.with([slow, hello]) { server in
            let client = try await server.connect()
            try await client.send("GET /slow HTTP/1.1\r\nHost: t\r\n\r\n")
            let request = "GET /hello/x HTTP/1.1\r\nHost: t\r\nX: \(String(repeating: "x", count: 15_000))\r\n\r\n"
            async let sent: Void = client.send(String(repeating: request, count: 1600))
            // 24 MB do not fit into the buffers on the way: they stay here when the server stops reading.
            var unsent = -1
            await eventually("nothing moves") {
                let before = unsent
                unsent = (try? await client.unsentBytes()) ?? -1
                try? await Task.sleep(for: .milliseconds(50))
                return unsent > 0 && before == unsent
            }
            gate.set(())
            for _ in 0...1600 { #expect(try await client.response().status == 200) }
            try await sent
            client.close()
        }
    }

    @Test func speaksHTTP10() async throws {
        try await HTTPTestServer.with([hello]) { server in
            let client = try await server.connect()
            try await client.send("GET /hello/x HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
            #expect(try await client.response()["connection"] == "keep-alive")
            try await client.send("GET /hello/x HTTP/1.0\r\n\r\n")
            #expect(try await client.response()["connection"] == "close")
            try await client.untilClosed()
        }
    }

    @Test func dropsTheBodyForHEAD() async throws {
        try await HTTPTestServer.with([hello, echo]) { server in
            let client = try await server.connect()
            try await client.send("HEAD /hello/x HTTP/1.1\r\nHost: t\r\n\r\n")
            let head = try await client.response(toHead: true)
            #expect(head.status == 200)
            #expect(head["content-length"] == "9")
            try await client.send("HEAD /nowhere HTTP/1.1\r\nHost: t\r\n\r\nGET /hello/y HTTP/1.1\r\nHost: t\r\n\r\n")
            #expect(try await client.response(toHead: true).status == 404)
            #expect(try await client.response().body == "Hello, y!")
            client.close()
        }
    }

    @Test(arguments: [(204, "No Content"), (304, "Not Modified")])
    func sendsNoBodyWhereThereIsNone(status: Int, reason: String) async throws {
        let empty = HTTPTestServer.function("empty", "GET", "/empty") { _, _ in
            Response(.init(code: status, reasonPhrase: reason), body: ByteBuffer(string: "dropped"))
        }
        try await HTTPTestServer.with([empty, hello]) { server in
            let client = try await server.connect()
            try await client.send("GET /empty HTTP/1.1\r\nHost: t\r\n\r\nGET /hello/x HTTP/1.1\r\nHost: t\r\n\r\n")
            let response = try await client.response()
            #expect(response.status == status)
            #expect(response["content-length"] == nil)
            #expect(try await client.response().body == "Hello, x!")
            client.close()
        }
    }

    @Test func answers404And405AndOPTIONS() async throws {
        try await HTTPTestServer.with([hello, echo]) { server in
            let client = try await server.connect()
            func send(_ start: String, _ rest: String = "\r\n") async throws -> RawResponse {
                try await client.send("\(start) HTTP/1.1\r\nHost: t\r\n\(rest)")
                return try await client.response()
            }
            try expectError(try await send("GET /nowhere"), 404, "not_found")
            let wrong = try await send("GET /echo")
            try expectError(wrong, 405, "method_not_allowed")
            #expect(wrong["allow"] == "OPTIONS, POST")
            // A small body of a refused request is skipped, and the connection stays.
            try expectError(try await send("POST /hello/x", "Content-Length: 3\r\n\r\nabc"), 405, "method_not_allowed")
            try expectError(try await send("GET /hello/%zz"), 400, "malformed_request")
            let options = try await send("OPTIONS /hello/x")
            #expect(options.status == 204)
            #expect(options["allow"] == "GET, HEAD, OPTIONS")
            #expect(try await send("OPTIONS *").status == 204)
            #expect(try await send("GET http://other/hello/abs").body == "Hello, abs!")
            client.close()
        }
    }

    @Test func readsChunkedBodies() async throws {
        try await HTTPTestServer.with([echo]) { server in
            let client = try await server.connect()
            let head = "POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
            for piece in [head, "5;a=b\r\nhel", "lo\r\n1", "0\r\n0123456789ABCDEF\r", "\n0\r\nTrailer: x\r\n", "\r\n"] {
                try await client.send(piece)
            }
            #expect(try await client.response().body == "hello0123456789ABCDEF")
            try await client.send(head + "0\r\n\r\n")
            #expect(try await client.response().body == "")
            client.close()
        }
    }

    @Test func asksForAnExpectedBody() async throws {
        try await HTTPTestServer.with([echo]) { server in
            let client = try await server.connect()
            try await client.send("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
            #expect(try await client.response().status == 100)
            try await client.send("ok")
            #expect(try await client.response().body == "ok")
            // What is refused anyway is not asked for.
            try await client.send(
                "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 200000\r\nExpect: 100-continue\r\n\r\n")
            try expectError(try await client.response(), 413, "content_too_large")
            try await client.untilClosed()
            let other = try await server.connect()
            try await other.send("POST /no HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
            try expectError(try await other.response(), 404, "not_found")
            try await other.untilClosed()
        }
    }

    @Test(arguments: ["Content-Length: 2000000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n1E8480\r\n"])
    func refusesLargeBodiesSoThatTheClientReadsWhy(head: String) async throws {
        try await HTTPTestServer.with([echo]) { server in
            let client = try await server.connect()
            try await client.send("POST /echo HTTP/1.1\r\nHost: t\r\n\(head)")
            async let sent: Void = client.send(String(repeating: "x", count: 2_000_000))
            let response = try await client.response()
            try expectError(response, 413, "content_too_large")
            #expect(response["connection"] == "close")
            _ = try? await sent
            client.close()
        }
    }

    @Test func takesBodiesUpToTheLimit() async throws {
        try await HTTPTestServer.with([echo]) { server in
            let client = try await server.connect()
            let body = String(repeating: "0123456789", count: 10_000)
            for _ in 0..<3 {
                try await client.send("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 100000\r\n\r\n\(body)")
                #expect(try await client.response().body == body)
            }
            client.close()
        }
    }

    @Test(arguments: [
        ("GET / HTTP/1.1\r\n\r\n", 400, "malformed_request"),
        ("GET / HTTP/1.1\r\nHost: t\r\nA: b\r\n c\r\n\r\n", 400, "malformed_request"),
        (
            "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400,
            "malformed_request"
        ),
        ("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400, "malformed_request"),
        ("POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "malformed_request"),
        ("GET / HTTP/3.0\r\nHost: t\r\n\r\n", 505, "http_version_not_supported"),
        ("GARBAGE\r\n\r\n", 400, "malformed_request"),
        ("GET /\(String(repeating: "a", count: 9000)) HTTP/1.1\r\n", 414, "uri_too_long"),
        (
            "GET / HTTP/1.1\r\nHost: t\r\nA: \(String(repeating: "a", count: 20_000))\r\n\r\n", 431,
            "request_header_fields_too_large"
        ),
        (
            "GET / HTTP/1.1\r\nHost: t\r\n\(String(repeating: "A: b\r\n", count: 101))\r\n", 431,
            "request_header_fields_too_large"
        ),
        ("POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: gzip\r\n\r\n", 501, "not_implemented"),
        ("GET / HTTP/1.1\r\nHost: t\r\nExpect: 200-ok\r\n\r\n", 417, "expectation_failed"),
    ])
    func refusesAndCloses(text: String, status: Int, code: String) async throws {
        try await HTTPTestServer.with([echo]) { server in
            let client = try await server.connect()
            // Whatever follows must not be taken for another request.
            try await client.send(text + "GET /health/liveness HTTP/1.1\r\nHost: t\r\n\r\n")
            let response = try await client.response()
            try expectError(response, status, code)
            #expect(response["connection"] == "close")
            #expect(try await client.untilClosed() == "")
        }
    }

    @Test func takesAHeadByteByByte() async throws {
        try await HTTPTestServer.with([hello]) { server in
            let client = try await server.connect()
            for byte in "GET /hello/slowly HTTP/1.1\r\nHost: t\r\nX: y\r\n\r\n".utf8 {
                try await client.send(String(Unicode.Scalar(byte)))
            }
            #expect(try await client.response().body == "Hello, slowly!")
            client.close()
        }
    }

    @Test func endsSlowHeadsAndBodies() async throws {
        try await HTTPTestServer.with([echo]) {
            $0.headTimeout = .milliseconds(200)
            $0.bodyPauseTimeout = .milliseconds(200)
        } _: { server in
            for text in [
                "GET", "GET / HTTP/1.1\r\nHost: t\r\n", "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nab",
            ] {
                let client = try await server.connect()
                try await client.send(text)
                try expectError(try await client.response(), 408, "request_timeout")
                try await client.untilClosed()
            }
        }
    }

    @Test func endsBodiesThatTrickle() async throws {
        try await HTTPTestServer.with([echo]) {
            $0.bodyTimeout = .milliseconds(400)
        } _: { server in
            let client = try await server.connect()
            try await client.send("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 100000\r\n\r\n")
            let trickle = Task {
                while !Task.isCancelled {
                    try await client.send("x")
                    try await Task.sleep(for: .milliseconds(20))
                }
            }
            try expectError(try await client.response(), 408, "request_timeout")
            trickle.cancel()
            client.close()
        }
    }

    @Test func closesIdleConnections() async throws {
        try await HTTPTestServer.with([hello]) {
            $0.idleTimeout = .seconds(4)
        } _: { server in
            let fresh = try await server.connect()
            let used = try await server.connect()
            try await used.send("GET /hello/x HTTP/1.1\r\nHost: t\r\n\r\n")
            #expect(try await used.response().status == 200)
            #expect(try await fresh.untilClosed() == "")
            #expect(try await used.untilClosed() == "")
        }
    }

    @Test func refusesConnectionsOverTheLimit() async throws {
        try await HTTPTestServer.with([hello]) {
            $0.maxConnectionCount = 2
        } _: { server in
            let first = try await server.connect()
            let second = try await server.connect()
            for client in [first, second] {
                try await client.send("GET /hello/x HTTP/1.1\r\nHost: t\r\n\r\n")
                #expect(try await client.response().status == 200)
            }
            let third = try await server.connect()
            let refusal = try await third.response()
            try expectError(refusal, 503, "connection_limit")
            #expect(refusal["retry-after"] == "1")
            try await third.untilClosed()
            first.close()
            await eventually("room again") {
                (try? await server.get("/hello/y"))?.status == 200
            }
            second.close()
        }
    }

    @Test func dropsClientsThatDoNotRead() async throws {
        let big = HTTPTestServer.function("big", "GET", "/big") { _, _ in
            Response(body: ByteBuffer(repeating: 0x61, count: 64 << 20))
        }
        try await HTTPTestServer.with([big]) {
            $0.writePauseTimeout = .milliseconds(200)
        } _: { server in
            let client = try await server.connect()
            try await client.setReading(false)
            try await client.send("GET /big HTTP/1.1\r\nHost: t\r\n\r\n")
            await eventually("the connection is dropped") { !server.log.lines("a client does not read").isEmpty }
            client.close()
        }
    }

    @Test func listensOnUnixSocketsAndSeveralAddresses() async throws {
        let path = "/tmp/ferry-http-\(RandomNumbers.name()).sock"
        try await HTTPTestServer.with([hello]) {
            $0.addresses.append(.unix(path: path))
            $0.addresses.append(.tcp(host: "192.0.2.1", port: 1))
        } _: { server in
            let client = try await RawClient.connect(unix: path)
            try await client.send("GET /hello/unix HTTP/1.1\r\nHost: t\r\n\r\n")
            #expect(try await client.response().body == "Hello, unix!")
            client.close()
            #expect(try await server.get("/hello/tcp").body == "Hello, tcp!")
            #expect(server.log.lines("an address is left out").count == 1)
            #expect(server.log.lines("request").contains { $0.metadata["remote"] == "unix" })
        }
        await #expect(throws: (any Error).self) { try await RawClient.connect(unix: path) }
    }

    @Test func saysWhereItCannotListen() async throws {
        try await HTTPTestServer.with { server in
            let error = await #expect(throws: ListenError.self) {
                try await HTTPTestServer.with([], { $0.addresses = [.tcp(host: "127.0.0.1", port: server.port)] }) {
                    _ in
                }
            }
            #expect(error?.description == "Cannot listen on 127.0.0.1:\(server.port): Address already in use.")
        }
    }

    @Test func streamsAndSocketsAreGETRoutes() throws {
        let log = LogRecorder()
        let loops = LoopExecutors(MultiThreadedEventLoopGroup.singleton)
        let services = InvocationServices(
            logger: log.logger, bindings: Bindings(), pool: HandlerPool(logger: log.logger), loops: loops)
        let stream = HTTPTestServer.function("s", .sse(path: "/a/:x"), .stream { _, _, _ in })
        let socket = HTTPTestServer.function("w", .webSocket(path: "/b/:x"), .webSocket { _, _, _ in })
        let posted = HTTPTestServer.function("p", "POST", "/a/:y") { _, _ in .text("") }
        let runners = [stream, socket, posted].map { FunctionRunner($0, services: services) }
        let router = try Router(functions: runners, hostRoutes: [])
        for (path, name) in [("/a/1", "s"), ("/b/1", "w")] {
            guard case .found(let endpoint, let parameters) = router.match(method: "GET", path: path) else {
                Issue.record("\(path) is not found")
                continue
            }
            #expect(endpoint.name == name && parameters == ["x": "1"] && endpoint.maxBodyBytes == 0)
        }
        guard case .methodNotAllowed(let allow) = router.match(method: "PUT", path: "/a/1") else {
            Issue.record("PUT is allowed")
            return
        }
        #expect(allow == "GET, HEAD, OPTIONS, POST")
        for trigger in [FunctionManifest.Trigger.http(method: "GET", path: "/a/:z"), .webSocket(path: "/a/:z")] {
            let handler: ModuleEntry.Handler =
                if case .http = trigger { .http { _, _ in .text("") } } else { .webSocket { _, _, _ in } }
            let other = FunctionRunner(HTTPTestServer.function("o", trigger, handler), services: services)
            let conflict = #expect(throws: RouteConflict.self) {
                try Router(functions: runners + [other], hostRoutes: [])
            }
            #expect(conflict?.description == "The route GET /a/:z of o is the same as GET /a/:x of s.")
        }
    }

    @Test func refusesEqualRoutes() async throws {
        let health = HTTPTestServer.function("mine", "GET", "/health") { _, _ in .text("x") }
        await #expect(throws: RouteConflict.self) { try await HTTPTestServer.with([health]) { _ in } }
    }

    @Test func reportsHealth() async throws {
        struct Down: Error {}
        try await HTTPTestServer.with { server in
            let healthy = try await server.get("/health")
            #expect(healthy.status == 200)
            #expect(healthy.body == #"{"checks":{},"status":"healthy"}"#)
            #expect(try await server.get("/health/liveness").body == #"{"status":"alive"}"#)
            #expect(try await server.get("/health/readiness").body == #"{"status":"ready"}"#)
        }
        try await HTTPTestServer.with(checks: [.init("redis") {}, .init("storage") { throw Down() }]) { server in
            let response = try await server.get("/health")
            #expect(response.status == 503)
            #expect(response.body == #"{"checks":{"redis":"ok","storage":"error"},"status":"unhealthy"}"#)
            #expect(server.log.lines("a store does not answer").first?.metadata["reason"] == "Down()")
        }
    }

    @Test func answersOtherOriginsAsConfigured() async throws {
        try await HTTPTestServer.with([echo, hello]) {
            $0.cors.origins = .list(["https://app.example"])
        } _: { server in
            let allowed = try await server.get("/hello/x", "Origin: https://app.example\r\n")
            #expect(allowed["access-control-allow-origin"] == "https://app.example")
            #expect(allowed["access-control-allow-credentials"] == "true")
            #expect(allowed["access-control-expose-headers"]?.contains("ETag") == true)
            #expect(allowed["vary"] == "Origin")
            let foreign = try await server.get("/hello/x", "Origin: https://app.example.evil\r\n")
            #expect(foreign["access-control-allow-origin"] == nil)
            #expect(foreign["vary"] == "Origin")
            let client = try await server.connect()
            try await client.send(
                "OPTIONS /echo HTTP/1.1\r\nHost: t\r\nOrigin: https://app.example\r\nAccess-Control-Request-Method: POST\r\n\r\n"
            )
            let preflight = try await client.response()
            #expect(preflight.status == 204)
            #expect(preflight["access-control-allow-methods"] == "OPTIONS, POST")
            #expect(preflight["access-control-allow-origin"] == "https://app.example")
            #expect(preflight["access-control-max-age"] == "600")
            client.close()
        }
        try await HTTPTestServer.with([hello]) {
            $0.cors.origins = .any
        } _: { server in
            let response = try await server.get("/hello/x", "Origin: https://any.example\r\n")
            #expect(response["access-control-allow-origin"] == "*")
            #expect(response["access-control-allow-credentials"] == nil)
        }
    }

    @Test(arguments: [true, false])
    func believesTrustedProxiesOnly(isTrusted: Bool) async throws {
        let address = HTTPTestServer.function("address", "GET", "/address") { request, _ in .text(request.remoteAddress)
        }
        try await HTTPTestServer.with([address]) {
            if isTrusted { $0.trustedProxies = TrustedProxies(["127.0.0.1"])! }
        } _: { server in
            let response = try await server.get(
                "/address", "X-Forwarded-For: 9.9.9.9, 8.8.8.8\r\nX-Forwarded-Proto: https\r\n")
            #expect(response.body == (isTrusted ? "8.8.8.8" : "127.0.0.1"))
            #expect((response["strict-transport-security"] != nil) == isTrusted)
        }
    }

    @Test func addsAPolicyToPages() async throws {
        let page = HTTPTestServer.function("page", "GET", "/page") { request, _ in
            var page = Response.html("<p>")
            if !request.query.isEmpty { page.headers[.contentSecurityPolicy] = "own" }
            return page
        }
        try await HTTPTestServer.with([page]) { server in
            let plain = try await server.get("/page")
            #expect(plain["content-security-policy"]?.hasPrefix("default-src 'self'") == true)
            let own = try await server.get("/page?own")
            #expect(own["content-security-policy"] == "own")
        }
    }
}
