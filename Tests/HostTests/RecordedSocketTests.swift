import FunctionKit
import NIOCore
import NIOPosix
import Testing

@testable import Host

/// Sockets that are called by hand.
struct RecordedSocketTests {
    private func call(
        _ sample: String, timeout: Duration = .seconds(20), maxMessageBytes: Int = 1 << 20,
        _ handler: @escaping @Sendable (Request, WebSocketUpgrade, Context) async throws -> Void
    ) async throws -> PositionedJSON {
        let services = InvocationServices(
            logger: LogRecorder().logger, bindings: Bindings(), pool: HandlerPool { _ in },
            loops: LoopExecutors(MultiThreadedEventLoopGroup.singleton))
        let manifest = FunctionManifest(
            trigger: .webSocket(path: "/chat"), timeout: timeout, maxMessageBytes: maxMessageBytes)
        let function = LoadedFunction(name: "chat", manifest: manifest, handler: .webSocket(handler))
        let runner = FunctionRunner(function, services: services)
        let input = try InvocationInput(ByteBuffer(string: sample), for: manifest, requestID: "r")
        let response = try await DirectInvocation(runner: runner, requestID: "r").run(input)
        return try PositionedJSON.parse(Array(response.body.readableBytesView))
    }

    private static let echo: @Sendable (Request, WebSocketUpgrade, Context) async throws -> Void = { _, upgrade, _ in
        let socket = try await upgrade.accept(protocol: upgrade.protocols.first)
        for try await message in socket { try await socket.send(message) }
    }

    @Test func `the client sends its messages, keeps the answers and leaves`() async throws {
        let answer = try await call(#"{"messages":["a",{"base64":"AP8="},{"n":1.50}]}"#, Self.echo)
        #expect(
            answer.text()
                == #"{"status":101,"messages":["a",{"base64":"AP8="},"{\"n\":1.50}"],"closeCode":1000,"ended":"messages"}"#
        )
    }

    @Test func `a sub-protocol is offered by the header`() async throws {
        let answer = try await call(#"{"headers":{"sec-websocket-protocol":"b, c"}}"#, Self.echo)
        #expect(answer["protocol"]?.string == "b")
    }

    @Test func `a client with a time stays for what comes by itself`() async throws {
        let answer = try await call(#"{"seconds":20,"limit":3}"#) { _, upgrade, _ in
            let socket = try await upgrade.accept()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { for try await _ in socket {} }
                for number in 0... { try await socket.send(.text("\(number)")) }
            }
        }
        #expect(answer["messages"]?.elements?.compactMap(\.string) == ["0", "1", "2"])
        #expect(answer["ended"]?.string == "limit")
        let silent = try await call(#"{"seconds":0.05}"#, Self.echo)
        #expect((silent["ended"]?.string, silent["closeCode"]?.integer) == ("time", 1000))
        let late = try await call(#"{"seconds":20}"#, timeout: .milliseconds(50), Self.echo)
        #expect((late["ended"]?.string, late["closeCode"]?.integer) == ("time", 1001))
    }

    @Test func `who closes is told, and with which code`() async throws {
        struct Failure: Error {}
        let closed = try await call("{}") { _, upgrade, _ in
            let socket = try await upgrade.accept()
            await socket.close(WebSocketCloseCode(rawValue: 4001), reason: "enough")
            try await Task.sleep(for: .seconds(60))
        }
        #expect(closed.text().contains(#""closeCode":4001,"closeReason":"enough","ended":"closed""#))
        let returned = try await call(#"{"seconds":20}"#) { _, upgrade, _ in _ = try await upgrade.accept() }
        #expect((returned["ended"]?.string, returned["closeCode"]?.integer) == ("returned", 1000))
        let failed = try await call("{}") { _, upgrade, _ in
            _ = try await upgrade.accept()
            throw Failure()
        }
        #expect((failed["ended"]?.string, failed["closeCode"]?.integer) == ("failed", 1011))
        let large = try await call(#"{"messages":["four"]}"#, maxMessageBytes: 3, Self.echo)
        #expect((large["ended"]?.string, large["closeCode"]?.integer) == ("closed", 1009))
    }

    @Test func `a refusal is an answer`() async throws {
        let refused = try await call("{}") { _, _, _ in throw HTTPError(.forbidden, message: "Not you.") }
        #expect(refused["status"]?.integer == 403)
        #expect(refused["body"]?.string?.contains("Not you.") == true)
        #expect(try await call("{}") { _, _, _ in }["status"]?.integer == 204)
        let wrong = try await call("{}") { _, upgrade, _ in _ = try await upgrade.accept(protocol: "x") }
        #expect(wrong["status"]?.integer == 500)
    }

    @Test func `what is no message is refused`() async {
        await #expect(throws: HTTPError.self) { try await call(#"{"messages":[{"base64":"?"}]}"#, Self.echo) }
        await #expect(throws: HTTPError.self) { try await call(#"{"messages":"a"}"#, Self.echo) }
    }
}
