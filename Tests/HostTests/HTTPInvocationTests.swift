import FunctionKit
import NIOCore
import Synchronization
import Testing

@testable import Host

/// Handlers that misbehave, clients that go away, and the end of the process.
struct HTTPInvocationTests {
    private struct Secret: Error {}

    @Test(arguments: [FunctionManifest.Executor.loop, .pool])
    func answersWhatHandlersThrow(executor: FunctionManifest.Executor) async throws {
        struct Away: ClassifiedError {
            var errorClass: ErrorClass { .network }
            var isUnavailable: Bool { true }
            var description: String { "10.0.0.1 refused" }
        }
        let throwing = HTTPTestServer.function("throwing", "GET", "/throw/:what", executor: executor) { request, _ in
            switch request.parameter("what") {
            case "conflict": throw HTTPError(.conflict, message: "Not now.")
            case "away": throw Away()
            case "status": return Response(100)
            default: throw Secret()
            }
        }
        try await HTTPTestServer.with([throwing]) { server in
            let conflict = try await server.get("/throw/conflict", "x-request-id: r1\r\n")
            #expect(conflict.status == 409)
            #expect(conflict.body == #"{"error":"Conflict","code":"conflict","message":"Not now.","requestId":"r1"}"#)
            let away = try await server.get("/throw/away")
            #expect(away.status == 503)
            #expect(away["retry-after"] == "1")
            #expect(!away.body.contains("10.0.0.1"))
            let secret = try await server.get("/throw/secret", "x-request-id: r2\r\n")
            #expect(secret.status == 500)
            #expect(!secret.body.contains("Secret"))
            #expect(try await server.get("/throw/status").status == 500)
            let logged = server.log.lines("a handler failed").first { $0.metadata["request_id"] == "r2" }
            #expect(logged?.metadata["error"] == "Secret()")
            #expect(logged?.metadata["function"] == "throwing")
        }
    }

    @Test(arguments: [FunctionManifest.Executor.loop, .pool])
    func cancelsHandlersPastTheirTimeout(executor: FunctionManifest.Executor) async throws {
        let cancelled = OneShot<Bool>()
        let sleepy = HTTPTestServer.function(
            "sleepy", "GET", "/sleepy", executor: executor, timeout: .milliseconds(150)
        ) { _, context in
            do { try await Task.sleep(for: .seconds(60)) } catch { cancelled.set(Task.isCancelled) }
            context.logger.info("gave up")
            return .text("too late")
        }
        try await HTTPTestServer.with([sleepy]) { server in
            let client = try await server.connect()
            try await client.send("GET /sleepy HTTP/1.1\r\nHost: t\r\nx-request-id: late\r\n\r\n")
            let response = try await client.response()
            #expect(response.status == 504)
            #expect(response.body.contains(#""code":"gateway_timeout""#))
            #expect(await cancelled.value())
            // The connection goes on, and the late answer is not sent.
            try await client.send("GET /health/liveness HTTP/1.1\r\nHost: t\r\n\r\n")
            #expect(try await client.response().status == 200)
            await eventually("the slot is free") { server.runners["sleepy"]?.counts.running == 0 }
            #expect(server.log.lines("gave up").first?.metadata["request_id"] == "late")
            #expect(server.log.lines("a function ran past its timeout").count == 1)
            client.close()
        }
    }

    @Test func goesOnWhileHandlersSpin() async throws {
        let release = Atomic(false)
        let spin = HTTPTestServer.function(
            "spin", "GET", "/spin", executor: .pool, timeout: .milliseconds(200), concurrency: 2, queueLimit: 0
        ) { _, _ in
            while !release.load(ordering: .relaxed) {}
            return .text("at last")
        }
        let other = HTTPTestServer.function("other", "GET", "/other", executor: .pool) { _, _ in .text("fine") }
        let options = HandlerPool.Options(
            threadCount: 1, spareCount: 1, lostLimit: 1, grace: .milliseconds(100), tick: .milliseconds(20))
        try await HTTPTestServer.with([spin, other], pool: options) { server in
            let first = try await server.connect()
            try await first.send("GET /spin HTTP/1.1\r\nHost: t\r\nx-request-id: spinning\r\n\r\n")
            // The pool's only thread spins: a spare one answers this.
            #expect(try await server.get("/other").body == "fine")
            #expect(try await first.response().status == 504)
            await eventually("the thread is lost") { server.pool.lostCount == 1 }
            #expect(try await server.get("/other").body == "fine")
            #expect(try await server.get("/health/readiness").status == 200)

            #expect(try await server.get("/spin").status == 504)
            await eventually("another thread is lost") { server.pool.lostCount == 2 }
            #expect(server.pool.isExhausted)
            let unready = try await server.get("/health/readiness")
            #expect(unready.status == 503)
            #expect(unready.body.contains(#""code":"threads_lost""#))
            #expect(try await server.get("/health/liveness").status == 200)
            // Both slots are taken until the handlers return.
            let saturated = try await server.get("/spin")
            #expect(saturated.status == 503)
            #expect(saturated["retry-after"] == "1")
            #expect(saturated.body.contains(#""code":"saturated""#))

            release.store(true, ordering: .relaxed)
            await eventually("the threads are back") { server.pool.lostCount == 0 }
            await eventually("the slots are free") { server.runners["spin"]?.counts.running == 0 }
            #expect(try await server.get("/spin").body == "at last")
            #expect(try await server.get("/health/readiness").status == 200)
            let lost = server.log.lines("a handler keeps its thread past its deadline")
            #expect(lost.count == 2)
            #expect(lost.first?.metadata["request_id"] == "spinning")
            #expect(lost.first?.metadata["function"] == "spin")
            first.close()
        }
    }

    @Test func doesNotBeginWhatHasHadItsAnswer() async throws {
        let release = Atomic(false)
        let begun = Atomic(0)
        let stuck = HTTPTestServer.function(
            "stuck", "GET", "/stuck", executor: .pool, timeout: .milliseconds(150), concurrency: 8
        ) { _, _ in
            begun.add(1, ordering: .relaxed)
            while !release.load(ordering: .relaxed) {}
            return .text("at last")
        }
        let options = HandlerPool.Options(
            threadCount: 1, spareCount: 0, lostLimit: 0, grace: .seconds(60), tick: .milliseconds(20))
        try await HTTPTestServer.with([stuck], pool: options) { server in
            // The first has the only thread; the others wait for one until their time is over.
            for _ in 0..<4 { #expect(try await server.get("/stuck").status == 504) }
            release.store(true, ordering: .relaxed)
            await eventually("the slots are free") { server.runners["stuck"]?.counts.running == 0 }
            #expect(begun.load(ordering: .relaxed) == 1)
            let last = try await server.get("/stuck")
            #expect(last.body == "at last")
        }
    }

    @Test(arguments: [true, false])
    func cancelsHandlersWhoseClientIsGone(closesAtOnce: Bool) async throws {
        let started = OneShot<Void>()
        let cancelled = OneShot<Bool>()
        let waiting = HTTPTestServer.function("waiting", "GET", "/waiting", executor: .pool) { _, _ in
            started.set(())
            do { try await Task.sleep(for: .seconds(60)) } catch { cancelled.set(true) }
            return .text("x")
        }
        try await HTTPTestServer.with([waiting]) {
            $0.abandonedGrace = .milliseconds(100)
        } _: { server in
            let client = try await server.connect()
            try await client.send("GET /waiting HTTP/1.1\r\nHost: t\r\n\r\n")
            await started.value()
            if closesAtOnce { client.close() } else { try await client.closeOutput() }
            #expect(await cancelled.value())
            await eventually("499 is logged") {
                server.log.lines("request").contains { $0.metadata["status"] == "499" }
            }
            client.close()
        }
    }

    @Test func answersClientsThatHalfClose() async throws {
        let brief = HTTPTestServer.function("brief", "GET", "/brief", executor: .pool) { _, _ in
            try await Task.sleep(for: .milliseconds(50))
            return .text("still here")
        }
        try await HTTPTestServer.with([brief]) {
            $0.abandonedGrace = .seconds(5)
        } _: { server in
            let client = try await server.connect()
            try await client.send("GET /brief HTTP/1.1\r\nHost: t\r\n\r\nGET /brief HTTP/1.1\r\nHost: t\r\n\r\n")
            try await client.closeOutput()
            #expect(try await client.response().body == "still here")
            #expect(try await client.response().body == "still here")
            try await client.untilClosed()
        }
    }

    @Test func letsRequestsWaitInOrderAndTurnsTheRestAway() async throws {
        let release = Mutex<[OneShot<Void>]>([])
        let order = Mutex<[String]>([])
        let narrow = HTTPTestServer.function("narrow", "GET", "/narrow", concurrency: 1, queueLimit: 2) { request, _ in
            let gate = OneShot<Void>()
            order.withLock { $0.append(request.query) }
            release.withLock { $0.append(gate) }
            await gate.value()
            return .text(request.query)
        }
        try await HTTPTestServer.with([narrow]) { server in
            var clients: [RawClient] = []
            for index in 0..<3 {
                let client = try await server.connect()
                try await client.send("GET /narrow?\(index) HTTP/1.1\r\nHost: t\r\n\r\n")
                clients.append(client)
                await eventually("request \(index) is in") {
                    let counts = server.runners["narrow"]!.counts
                    return counts.running + counts.waiting == index + 1
                }
            }
            #expect(try await server.get("/narrow?3").status == 503)
            // One that waits goes away and leaves its place.
            clients[1].close()
            await eventually("its place is free") { server.runners["narrow"]!.counts.waiting == 1 }
            let last = try await server.connect()
            try await last.send("GET /narrow?4 HTTP/1.1\r\nHost: t\r\n\r\n")
            await eventually("request 4 is in") { server.runners["narrow"]!.counts.waiting == 2 }
            for (client, expected) in [(clients[0], "0"), (clients[2], "2"), (last, "4")] {
                await eventually("a handler runs") { release.withLock { !$0.isEmpty } }
                release.withLock { $0.removeFirst() }.set(())
                #expect(try await client.response().body == expected)
                client.close()
            }
            #expect(order.withLock { $0 } == ["0", "2", "4"])
            await eventually("nothing runs") { server.runners["narrow"]!.counts == (0, 0) }
        }
    }

    @Test func endsWaitingAtTheTimeout() async throws {
        let gate = OneShot<Void>()
        let narrow = HTTPTestServer.function(
            "narrow", "GET", "/narrow", timeout: .milliseconds(300), concurrency: 1, queueLimit: 2
        ) { _, _ in
            await gate.value()
            return .text("x")
        }
        try await HTTPTestServer.with([narrow]) { server in
            let client = try await server.connect()
            try await client.send("GET /narrow HTTP/1.1\r\nHost: t\r\n\r\n")
            await eventually("it runs") { server.runners["narrow"]!.counts.running == 1 }
            #expect(try await server.get("/narrow").status == 503)
            #expect(try await client.response().status == 504)
            gate.set(())
            await eventually("nothing runs") { server.runners["narrow"]!.counts == (0, 0) }
            client.close()
        }
    }

    @Test func givesHandlersTheirContext() async throws {
        let context = HTTPTestServer.function("context", "GET", "/context", timeout: .seconds(9)) { request, context in
            #expect(context.remaining > .seconds(5) && context.remaining <= .seconds(9))
            context.logger.info("seen", metadata: ["own": "1"])
            return .text(
                "\(context.function) \(context.requestID) \(request.id) \(context.attempt) \(context.traceParent ?? "-")"
            )
        }
        try await HTTPTestServer.with([context]) { server in
            let response = try await server.get("/context", "x-request-id: r\r\ntraceparent: 00-ab\r\n")
            #expect(response.body == "context r r 1 00-ab")
            let line = server.log.lines("seen").first?.metadata
            #expect(line == ["function": "context", "request_id": "r", "own": "1"])
        }
    }

    @Test func drainsGracefully() async throws {
        let gate = OneShot<Void>()
        let slow = HTTPTestServer.function("slow", "GET", "/slow", executor: .pool) { _, _ in
            await gate.value()
            return .text("finished")
        }
        try await HTTPTestServer.with([slow]) { server in
            let idle = try await server.connect()
            try await idle.send("GET /health/readiness HTTP/1.1\r\nHost: t\r\n\r\n")
            #expect(try await idle.response().status == 200)
            let busy = try await server.connect()
            try await busy.send("GET /slow HTTP/1.1\r\nHost: t\r\n\r\n")
            let starting = try await server.connect()
            // Half of the second request has come when the first is answered.
            try await starting.send(
                "GET /health/liveness HTTP/1.1\r\nHost: t\r\n\r\nGET /health/readiness HTTP/1.1\r\n")
            #expect(try await starting.response().status == 200)
            await eventually("it runs") { server.runners["slow"]!.counts.running == 1 }
            await server.shutDown()
            #expect(try await idle.untilClosed() == "")
            await #expect(throws: (any Error).self) { try await server.connect() }
            // A request that was under way gets its answer, which is the connection's last.
            try await starting.send("Host: t\r\n\r\n")
            let readiness = try await starting.response()
            #expect(readiness.status == 503)
            #expect(readiness["connection"] == "close")
            #expect(readiness.body.contains(#""code":"draining""#))
            gate.set(())
            let last = try await busy.response()
            #expect(last.body == "finished")
            #expect(last["connection"] == "close")
            try await busy.untilClosed()
        }
    }

    @Test func cutsWhatOutlastsTheGraceTime() async throws {
        let cancelled = OneShot<Bool>()
        let endless = HTTPTestServer.function("endless", "GET", "/endless") { _, _ in
            do { try await Task.sleep(for: .seconds(60)) } catch { cancelled.set(true) }
            return .text("x")
        }
        try await HTTPTestServer.with([endless]) {
            $0.drainTimeout = .milliseconds(200)
        } _: { server in
            let client = try await server.connect()
            try await client.send("GET /endless HTTP/1.1\r\nHost: t\r\nx-request-id: cut\r\n\r\n")
            await eventually("it runs") { server.runners["endless"]!.counts.running == 1 }
            await server.shutDown()
            #expect(await cancelled.value())
            try await client.untilClosed()
            await eventually("it is logged") {
                server.log.lines("a request was cut at shutdown").first?.metadata["request_id"] == "cut"
            }
        }
    }
}
