import FunctionKit
import Glibc
import NIOCore
import Testing

@testable import Host

struct IsolationTests {
    private static func function(
        concurrency: Int = 64, timeout: Duration = .seconds(20), executor: FunctionManifest.Executor = .pool,
        _ handler: @escaping HTTPHandler
    ) -> LoadedFunction {
        HTTPTestServer.function(
            "f", "GET", "/f", executor: executor, timeout: timeout, concurrency: concurrency, handler)
    }

    @Test func `No process runs before the first call, and one serves those after it`() async throws {
        try await IsolatedTestServer.with(IsolationTests.function { request, _ in .text("q \(request.query)") }) {
            test in
            #expect(test.launcher.launches == 0 && test.isolated.running("f") == 0)
            let first = try await test.server.get("/f?1")
            #expect(first.status == 200 && first.body == "q 1")
            #expect(first["server-timing"]?.hasPrefix("cold;dur=") == true)
            let second = try await test.server.get("/f?2")
            #expect(second.body == "q 2" && second["server-timing"] == nil)
            #expect(test.launcher.launches == 1 && test.isolated.running("f") == 1)
        }
    }

    @Test func `More calls than a process takes start another, up to the limit`() async throws {
        try await IsolatedTestServer.with(
            IsolationTests.function(concurrency: 2) { request, _ in
                if request.query == "wait" { try await Task.sleep(for: .milliseconds(300)) }
                return .text("ok")
            }
        ) { test in
            try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<20 { group.addTask { try await test.server.get("/f?wait").status } }
                for try await status in group { #expect(status == 200) }
            }
            #expect(test.launcher.launches == 2)
        }
    }

    @Test func `A process without work is stopped after the idle time, and the next call starts one`() async throws {
        try await IsolatedTestServer.with(
            IsolationTests.function { _, _ in .text("ok") }, idleTime: .milliseconds(200)
        ) { test in
            try await test.expect(200, at: "/f")
            await eventually("it stops") { test.launcher.living == 0 && test.isolated.running("f") == 0 }
            #expect(test.launcher.signals == [SIGTERM])
            await eventually("it is told") { test.observer.crashes == [false] }
            try await test.expect(200, at: "/f")
            #expect(test.launcher.launches == 2)
        }
    }

    @Test func `A crash answers what was taken up with 502, and the next call is served at once`() async throws {
        try await IsolatedTestServer.with(
            IsolationTests.function { request, _ in
                if request.query == "wait" { try await Task.sleep(for: .seconds(20)) }
                return .text("ok")
            }
        ) { test in
            try await test.expect(200, at: "/f")
            async let waiting = test.server.get("/f?wait", "x-request-id: mine\r\n")
            await eventually("it runs") { test.isolated.processes(of: "f").first?.inFlight == 1 }
            // It is counted before it is taken up.
            try await Task.sleep(for: .milliseconds(100))
            test.launcher.crashAll()
            let answer = try await waiting
            #expect(answer.status == 502 && answer.body.contains("function_crashed") && answer.body.contains("mine"))
            try await test.expect(200, at: "/f")
            await eventually("it is told") { test.observer.crashes == [true] }
            #expect(test.observer.tokens.allSatisfy { $0.count == 16 })
        }
    }

    @Test func `A start that fails is tried again for the calls that wait for it`() async throws {
        try await IsolatedTestServer.with(IsolationTests.function { _, _ in .text("ok") }) { test in
            test.launcher.fail(next: 2)
            try await test.expect(200, at: "/f")
            #expect(test.launcher.launches == 3)
        }
    }

    @Test func `Starts that go on failing are answered 503 with Retry-After, and tried again all the same`()
        async throws
    {
        try await IsolatedTestServer.with(IsolationTests.function { _, _ in .text("ok") }) { test in
            test.launcher.fail(next: 5)
            let answer = try await test.server.get("/f")
            #expect(answer.status == 503 && answer.body.contains("function_unavailable"))
            #expect(answer["retry-after"].flatMap(Int.init) ?? 0 >= 1)
            await eventually("it is back") { (try? await test.server.get("/f").status) == 200 }
        }
    }

    @Test func `A handler that goes on after its time has its process replaced`() async throws {
        let stop = OneShot<Bool>()
        try await IsolatedTestServer.with(
            IsolationTests.function(timeout: .milliseconds(100)) { request, _ in
                while request.query == "on", !stop.isSet {}
                return .text("ok")
            }
        ) { test in
            try await test.expect(504, at: "/f?on")
            await eventually("it is ended") { test.launcher.signals.contains(SIGTERM) }
            try await test.expect(200, at: "/f")
            #expect(test.launcher.launches == 2)
            stop.set(true)
        }
    }

    @Test func `Processes are started before there is a call, within the limit`() async throws {
        try await IsolatedTestServer.with(IsolationTests.function { _, _ in .text("ok") }) { test in
            await test.isolated.ensure("f", processes: 1)
            #expect(test.isolated.running("f") == 1)
            await test.isolated.ensure("f", processes: 9)
            await test.isolated.ensure("g", processes: 1)
            #expect(test.isolated.running("f") == 2 && test.isolated.running("g") == 0)
            await eventually("they start") {
                test.isolated.processes(of: "f").allSatisfy { $0.state == .running && $0.coldStart != nil }
            }
        }
    }

    @Test func `A process that works on jobs is not idle`() async throws {
        let release = OneShot<Bool>()
        let function = LoadedFunction(
            name: "f", manifest: FunctionManifest(trigger: .queue(name: "q", on: .process)),
            handler: .queue { _, _ in
                _ = await release.value()
                return "1"
            })
        try await IsolatedTestServer.with(function, idleTime: .milliseconds(100)) { test in
            guard case .queue(let handler) = test.isolated.functions[0].handler else { return }
            let runner = test.server.runners["f"]
            async let result = runner?.run(requestID: "1") { context in
                try await handler(
                    QueueJob(
                        id: "1", name: "", queue: "q", payload: "{}", attempt: 1, maxAttempts: 1, addedAt: .now),
                    context)
            }
            await eventually("it runs") { test.isolated.running("f") == 1 }
            try await Task.sleep(for: .milliseconds(500))
            #expect(test.launcher.living == 1)
            release.set(true)
            let value = try await result
            #expect(value == "1")
            await eventually("it stops") { test.launcher.living == 0 }
        }
    }
}
