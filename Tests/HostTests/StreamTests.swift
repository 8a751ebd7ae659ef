import FunctionKit
import NIOCore
import Testing

@testable import Host

typealias StreamHandler = @Sendable (Request, EventStream, Context) async throws -> Void

/// Event streams over live sockets.
struct StreamTests {
    private static func function(
        _ path: String = "/s/:what", executor: FunctionManifest.Executor = .loop, timeout: Duration = .seconds(20),
        concurrency: Int = 64, queueLimit: Int = 0, _ handler: @escaping StreamHandler
    ) -> LoadedFunction {
        HTTPTestServer.function(
            "s", .sse(path: path), executor: executor, timeout: timeout, concurrency: concurrency,
            queueLimit: queueLimit, .stream(handler))
    }

    /// Says how a handler ended.
    private final class Ending: Sendable {
        private let ended = OneShot<Bool>()

        /// Runs the handler's work and notes whether it was cancelled.
        func during(_ body: () async throws -> Void) async throws {
            do {
                try await body()
                ended.set(false)
            } catch {
                ended.set(Task.isCancelled)
                throw error
            }
        }

        var wasCancelled: Bool { get async { await ended.value() } }
    }

    private static func request(_ path: String, _ headers: String = "", method: String = "GET") -> String {
        "\(method) \(path) HTTP/1.1\r\nHost: t\r\n\(headers)\r\n"
    }

    private static func forever() async throws { try await Task.sleep(for: .seconds(600)) }

    @Test(arguments: [FunctionManifest.Executor.loop, .pool])
    func `events come as they are sent, and the connection goes on after the stream`(
        executor: FunctionManifest.Executor
    ) async throws {
        let gate = OneShot<Bool>()
        let stream = Self.function(executor: executor) { request, events, _ in
            try await events.send(ServerSentEvent("first", name: "n", id: request.lastEventID))
            _ = await gate.value()
            try await events.send([ServerSentEvent("second", id: "2", retry: .milliseconds(1500)), ServerSentEvent("")])
        }
        try await HTTPTestServer.with([stream]) { server in
            let client = try await server.connect()
            try await client.send(Self.request("/s/x", "Last-Event-ID: 7\r\nx-request-id: r\r\n"))
            let head = try await client.response()
            #expect(head.status == 200)
            #expect(head["content-type"] == "text/event-stream")
            #expect(head["cache-control"] == "no-cache")
            #expect(head["x-accel-buffering"] == "no")
            #expect(head["transfer-encoding"] == "chunked")
            #expect(head["content-length"] == nil && head["connection"] == nil)
            #expect(head["x-request-id"] == "r" && head["x-content-type-options"] == "nosniff")
            #expect(try await client.chunk() == "retry: 2000\n\n")
            #expect(try await client.chunk() == "id: 7\nevent: n\ndata: first\n\n")
            gate.set(true)
            #expect(try await client.chunk() == "id: 2\nretry: 1500\ndata: second\n\ndata: \n\n")
            #expect(try await client.chunk() == "")
            try await client.send(Self.request("/health"))
            #expect(try await client.response().status == 200)
            client.close()
            await eventually("the access log") { server.log.lines("request").count == 2 }
            let line = server.log.lines("request")[0].metadata
            #expect(line["status"] == "200" && line["path"] == "/s/x" && line["request_id"] == "r")
            #expect(line["bytes"] == "\(18 + 34 + 46)", "\(line)")
            #expect(server.runners["s"]?.counts.running == 0)
        }
    }

    @Test(arguments: [
        ("a\nb", "data: a\ndata: b\n\n"), ("a\r\nb\rc\n", "data: a\ndata: b\ndata: c\ndata: \n\n"),
        ("\r\r\n\n\r", "data: \ndata: \ndata: \ndata: \ndata: \n\n"), ("", "data: \n\n"),
        (" ä: \u{2028}", "data:  ä: \u{2028}\n\n"),
    ])
    func `each line of the data is a field`(data: String, expected: String) throws {
        var buffer = ByteBuffer()
        let event = ServerSentEvent(data)
        try event.check()
        event.write(into: &buffer)
        #expect(String(buffer: buffer) == expected)
    }

    @Test(arguments: ["\n", "a\rb", "\0", "é\r\n"])
    func `names and ids that would be something else are refused`(text: String) throws {
        for event in [ServerSentEvent("", name: text), ServerSentEvent("", id: text)] {
            let error = #expect(throws: HTTPError.self) { try event.check() }
            #expect(error?.status == .internalServerError)
        }
        try ServerSentEvent("", name: "", id: "é \u{85}").check()
    }

    @Test func `ten events in one go are one chunk`() async throws {
        let stream = Self.function { _, events, _ in
            try await events.send((0..<10).map { ServerSentEvent("\($0)") })
        }
        try await HTTPTestServer.with([stream]) { server in
            let client = try await server.connect()
            try await client.send(Self.request("/s/x"))
            #expect(try await client.response().status == 200)
            #expect(try await client.chunk() == "retry: 2000\n\n")
            #expect(try await client.chunk() == (0..<10).map { "data: \($0)\n\n" }.joined())
            #expect(try await client.chunk() == "")
        }
    }

    @Test(arguments: [FunctionManifest.Executor.loop, .pool])
    func `before the first event an error is the answer and a return is 204`(
        executor: FunctionManifest.Executor
    ) async throws {
        struct Secret: Error {}
        let stream = Self.function(executor: executor) { request, _, _ in
            switch request.parameter("what") {
            case "missing": throw HTTPError(.notFound, message: "No such thing.")
            case "secret": throw Secret()
            default: return
            }
        }
        try await HTTPTestServer.with([stream]) { server in
            let client = try await server.connect()
            try await client.send(
                Self.request("/s/missing") + Self.request("/s/secret") + Self.request("/s/none")
                    + Self.request("/s/none", method: "HEAD") + Self.request("/s/x", method: "POST"))
            let missing = try await client.response()
            #expect(missing.status == 404 && missing.body.contains("No such thing."))
            #expect(try await client.response().status == 500)
            let none = try await client.response()
            #expect(none.status == 204 && none["content-length"] == nil)
            #expect(try await client.response(toHead: true).status == 204)
            let post = try await client.response()
            #expect(post.status == 405 && post["allow"] == "GET, HEAD, OPTIONS")
        }
    }

    @Test func `an error after the first event is logged and cuts the stream`() async throws {
        struct Broken: Error {}
        let stream = Self.function { request, events, _ in
            try await events.send(ServerSentEvent("1"))
            if request.parameter("what") == "name" {
                try await events.send(ServerSentEvent("2", name: "a\nb"))
            }
            throw Broken()
        }
        try await HTTPTestServer.with([stream]) { server in
            for (path, error) in [("/s/x", "Broken()"), ("/s/name", "invalid_event")] {
                let client = try await server.connect()
                try await client.send(Self.request(path, "x-request-id: \(path)\r\n"))
                let text = try await client.untilClosed()
                #expect(text.hasSuffix("\r\ndata: 1\n\n\r\n"))
                await eventually("the log") {
                    server.log.lines("an event stream failed").contains {
                        $0.metadata["request_id"] == path && $0.metadata["error"]?.contains(error) == true
                    }
                }
            }
        }
    }

    @Test func `HEAD gets the head alone`() async throws {
        let ending = Ending()
        let stream = Self.function { request, events, _ in
            try await ending.during {
                try await events.send(ServerSentEvent("1"))
                try await Self.forever()
            }
        }
        try await HTTPTestServer.with([stream]) { server in
            let client = try await server.connect()
            try await client.send(Self.request("/s/x", method: "HEAD") + Self.request("/health"))
            let head = try await client.response(toHead: true)
            #expect(head.status == 200 && head["content-type"] == "text/event-stream")
            #expect(head["transfer-encoding"] == "chunked")
            #expect(try await client.response().status == 200)
            // Its first send ends it, maybe before the task is cancelled.
            _ = await ending.wasCancelled
        }
    }

    @Test func `HTTP 1.0 gets events until the connection closes`() async throws {
        let stream = Self.function { _, events, _ in
            for number in 1...3 { try await events.send(ServerSentEvent("\(number)")) }
        }
        try await HTTPTestServer.with([stream]) { server in
            let client = try await server.connect()
            try await client.send("GET /s/x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            let head = try await client.response()
            #expect(head["transfer-encoding"] == nil && head["connection"] == "close")
            #expect(try await client.untilClosed() == "retry: 2000\n\ndata: 1\n\ndata: 2\n\ndata: 3\n\n")
        }
    }

    @Test func `pipelined requests are answered after the stream`() async throws {
        let release = OneShot<Bool>()
        let stream = Self.function { _, events, _ in
            try await events.open()
            _ = await release.value()
        }
        try await HTTPTestServer.with([stream]) { server in
            let client = try await server.connect()
            try await client.send(Self.request("/s/x") + Self.request("/health"))
            #expect(try await client.response().status == 200)
            #expect(try await client.chunk() == "retry: 2000\n\n")
            try await client.send(Self.request("/nowhere"))
            release.set(true)
            #expect(try await client.chunk() == "")
            #expect(try await client.response().status == 200)
            #expect(try await client.response().status == 404)
        }
    }

    @Test func `what a client sends during a stream takes no memory`() async throws {
        let opened = OneShot<Bool>()
        let stream = Self.function { _, events, _ in
            try await events.open()
            opened.set(true)
            try await Self.forever()
        }
        try await HTTPTestServer.with([stream]) { server in
            let client = try await server.connect()
            try await client.send(Self.request("/s/x"))
            _ = await opened.value()
            // More than both kernels' buffers hold, so that some of it stays on this side.
            async let sending: Void = client.send(String(repeating: "x", count: 32 << 20))
            await eventually("the sender is slowed down") {
                guard let before = try? await client.unsentBytes(), before > 0 else { return false }
                try? await Task.sleep(for: .milliseconds(200))
                return await (try? client.unsentBytes()) == before
            }
            client.close()
            _ = try? await sending
        }
    }

    @Test(arguments: [FunctionManifest.Executor.loop, .pool], [true, false])
    func `a client that leaves ends its handler`(executor: FunctionManifest.Executor, halfCloses: Bool) async throws {
        let ending = Ending()
        let stream = Self.function(executor: executor) { _, events, _ in
            try await ending.during {
                try await events.send(ServerSentEvent("1"))
                try await Self.forever()
            }
        }
        try await HTTPTestServer.with([stream]) {
            $0.abandonedGrace = .milliseconds(50)
        } _: { server in
            let client = try await server.connect()
            try await client.send(Self.request("/s/x"))
            #expect(try await client.response().status == 200)
            #expect(try await client.chunk() == "retry: 2000\n\n")
            #expect(try await client.chunk() == "data: 1\n\n")
            if halfCloses { try await client.closeOutput() } else { client.close() }
            #expect(await ending.wasCancelled)
            await eventually("its place is free") { server.runners["s"]?.counts.running == 0 }
            await eventually("the access log") { server.log.lines("request").count == 1 }
            #expect(server.log.lines("an event stream failed").isEmpty)
            if halfCloses { try await client.untilClosed() }
        }
    }

    @Test(arguments: [FunctionManifest.Executor.loop, .pool])
    func `a slow client slows its handler down and loses nothing`(executor: FunctionManifest.Executor) async throws {
        let sent = Shared(0)
        let text = String(repeating: "x", count: 20_000)
        let stream = Self.function(executor: executor) { _, events, _ in
            for number in 0..<2000 {
                try await events.send(ServerSentEvent("\(number) \(text)"))
                sent.update { $0 = number + 1 }
            }
        }
        try await HTTPTestServer.with([stream]) { server in
            let client = try await server.connect()
            try await client.setReading(false)
            try await client.send(Self.request("/s/x"))
            await eventually("the handler waits") {
                let before = sent.value
                try? await Task.sleep(for: .milliseconds(200))
                return before > 0 && sent.value == before
            }
            // What the kernels hold; the rest was never made.
            #expect(sent.value < 1000)
            try await client.setReading(true)
            #expect(try await client.response().status == 200)
            #expect(try await client.chunk() == "retry: 2000\n\n")
            for number in 0..<2000 { #expect(try await client.chunk() == "data: \(number) \(text)\n\n") }
            #expect(try await client.chunk() == "")
        }
    }

    @Test func `several senders keep their order and end with the stream`() async throws {
        let text = String(repeating: "x", count: 100_000)
        let failures = Shared(0)
        let stream = Self.function { _, events, _ in
            await withTaskGroup(of: Void.self) { senders in
                for number in 0..<200 {
                    senders.addTask {
                        do {
                            try await events.send(ServerSentEvent("\(number) \(text)"))
                        } catch {
                            failures.update { $0 += 1 }
                        }
                    }
                }
            }
        }
        try await HTTPTestServer.with([stream]) { server in
            let client = try await server.connect()
            try await client.setReading(false)
            try await client.send(Self.request("/s/x"))
            await eventually("the handler waits") { server.runners["s"]?.counts.running == 1 }
            try await client.setReading(true)
            #expect(try await client.response().status == 200)
            #expect(try await client.chunk() == "retry: 2000\n\n")
            var numbers: Set<Substring> = []
            for _ in 0..<200 {
                let chunk = try await client.chunk()
                numbers.insert(chunk.dropFirst(6).prefix { $0 != " " })
            }
            #expect(numbers.count == 200 && failures.value == 0)
            #expect(try await client.chunk() == "")

            let other = try await server.connect()
            try await other.setReading(false)
            try await other.send(Self.request("/s/x"))
            await eventually("the handler waits") { server.runners["s"]?.counts.running == 1 }
            other.close()
            await eventually("all senders end") { server.runners["s"]?.counts.running == 0 }
            #expect(failures.value > 0)
        }
    }

    @Test func `a send can be given up for a newer one`() async throws {
        let givenUp = OneShot<Bool>()
        let stream = Self.function { _, events, _ in
            let text = String(repeating: "x", count: 100_000)
            await withTaskGroup(of: Void.self) { senders in
                senders.addTask {
                    do { while true { try await events.send(ServerSentEvent(text)) } } catch {}
                }
                try? await Task.sleep(for: .milliseconds(300))
                senders.cancelAll()
            }
            givenUp.set(true)
            try await events.send(ServerSentEvent("newer"))
        }
        try await HTTPTestServer.with([stream]) { server in
            let client = try await server.connect()
            try await client.setReading(false)
            try await client.send(Self.request("/s/x"))
            #expect(await givenUp.value())
            try await client.setReading(true)
            #expect(try await client.response().status == 200)
            var last = ""
            while case let chunk = try await client.chunk(), !chunk.isEmpty { last = chunk }
            #expect(last == "data: newer\n\n")
        }
    }

    @Test(arguments: [FunctionManifest.Executor.loop, .pool])
    func `a client that takes nothing is dropped`(executor: FunctionManifest.Executor) async throws {
        let ending = Ending()
        let stream = Self.function(executor: executor) { _, events, _ in
            let text = String(repeating: "x", count: 100_000)
            try await ending.during { while true { try await events.send(ServerSentEvent(text)) } }
        }
        try await HTTPTestServer.with([stream]) {
            $0.writePauseTimeout = .milliseconds(300)
        } _: { server in
            let client = try await server.connect()
            try await client.setReading(false)
            try await client.send(Self.request("/s/x"))
            #expect(await ending.wasCancelled)
            await eventually("its place is free") { server.runners["s"]?.counts.running == 0 }
            client.close()
        }
    }

    @Test func `silence is broken by comments`() async throws {
        let stream = Self.function { _, events, _ in
            try await events.open()
            try await Self.forever()
        }
        try await HTTPTestServer.with([stream]) {
            $0.heartbeat = .milliseconds(100)
            $0.reconnectDelay = .milliseconds(750)
        } _: { server in
            let client = try await server.connect()
            try await client.send(Self.request("/s/x"))
            #expect(try await client.response().status == 200)
            #expect(try await client.chunk() == "retry: 750\n\n")
            for _ in 0..<3 { #expect(try await client.chunk() == ":\n\n") }
            client.close()
        }
    }

    @Test(arguments: [FunctionManifest.Executor.loop, .pool])
    func `at its deadline a stream ends in order`(executor: FunctionManifest.Executor) async throws {
        let ending = Ending()
        let stream = Self.function(executor: executor, timeout: .milliseconds(300)) { request, events, _ in
            try await ending.during {
                if request.parameter("what") == "opened" { try await events.open() }
                try await Self.forever()
            }
        }
        try await HTTPTestServer.with([stream]) { server in
            let client = try await server.connect()
            try await client.send(Self.request("/s/opened") + Self.request("/s/unopened"))
            #expect(try await client.response().status == 200)
            #expect(try await client.chunk() == "retry: 2000\n\n")
            #expect(try await client.chunk() == "")
            #expect(await ending.wasCancelled)
            #expect(try await client.response().status == 504)
        }
    }

    @Test func `more streams than the manifest allows get 503`() async throws {
        let stream = Self.function(concurrency: 2) { _, events, _ in
            try await events.open()
            try await Self.forever()
        }
        try await HTTPTestServer.with([stream]) { server in
            var clients: [RawClient] = []
            for _ in 0..<2 {
                let client = try await server.connect()
                try await client.send(Self.request("/s/x"))
                #expect(try await client.response().status == 200)
                clients.append(client)
            }
            let refused = try await server.get("/s/x")
            #expect(refused.status == 503 && refused["retry-after"] == "1" && refused.body.contains("saturated"))
            clients[0].close()
            await eventually("a place is free") { server.runners["s"]?.counts.running == 1 }
            let client = try await server.connect()
            try await client.send(Self.request("/s/x"))
            #expect(try await client.response().status == 200)
            client.close()
            clients[1].close()
        }
    }

    @Test func `a handler that heeds no cancellation keeps its place`() async throws {
        let release = OneShot<Bool>()
        let stream = Self.function(concurrency: 1) { _, events, _ in
            try await events.open()
            _ = await release.value()
        }
        try await HTTPTestServer.with([stream]) { server in
            let client = try await server.connect()
            try await client.send(Self.request("/s/x"))
            #expect(try await client.response().status == 200)
            client.close()
            await eventually("the stream ends") { server.log.lines("request").count == 1 }
            #expect(try await server.get("/s/x").status == 503)
            try await Task.sleep(for: .milliseconds(1100))
            release.set(true)
            await eventually("the place is free") { server.runners["s"]?.counts.running == 0 }
            #expect(server.log.lines("a handler went on after its event stream had ended").count == 1)
        }
    }

    @Test func `shutdown ends streams at once and asks their clients to come back`() async throws {
        let ending = Ending()
        let entered = OneShot<Bool>()
        let release = OneShot<Bool>()
        let stream = Self.function { request, events, _ in
            if request.parameter("what") == "late" {
                entered.set(true)
                _ = await release.value()
                try await events.open()
            } else {
                try await ending.during {
                    try await events.open()
                    try await Self.forever()
                }
            }
        }
        try await HTTPTestServer.with([stream]) {
            $0.drainTimeout = .seconds(20)
        } _: { server in
            let client = try await server.connect()
            try await client.send(Self.request("/s/x"))
            #expect(try await client.response().status == 200)
            #expect(try await client.chunk() == "retry: 2000\n\n")
            let late = try await server.connect()
            try await late.send(Self.request("/s/late"))
            _ = await entered.value()

            let start = ContinuousClock.now
            await server.shutDown()
            let retry = try await client.chunk()
            let delay = try #require(Int(retry.dropFirst(7).dropLast(2)))
            #expect(retry.hasPrefix("retry: ") && retry.hasSuffix("\n\n") && (1000...3000).contains(delay))
            #expect(try await client.chunk() == "")
            #expect(try await client.untilClosed() == "")
            #expect(await ending.wasCancelled)

            release.set(true)
            let head = try await late.response()
            #expect(head.status == 200 && head["connection"] == "close")
            #expect(try await late.chunk() == "retry: 2000\n\n")
            #expect(try await late.chunk().hasPrefix("retry: "))
            #expect(try await late.chunk() == "")
            try await late.untilClosed()
            #expect(ContinuousClock.now - start < .seconds(10))
        }
    }

    @Test func `other origins may read streams as configured`() async throws {
        let stream = Self.function { _, events, _ in try await events.open() }
        try await HTTPTestServer.with([stream]) {
            $0.cors.origins = .list(["https://app.example"])
        } _: { server in
            let response = try await server.get("/s/x", "Origin: https://app.example\r\n")
            #expect(response["access-control-allow-origin"] == "https://app.example")
        }
    }
}
