import FunctionKit
import NIOCore
import Testing

@testable import Host

/// Sockets over live connections; one test at a time, since some keep the loops busy that all tests share.
@Suite(.serialized) struct WebSocketSessionTests {
    /// Says how a handler ended.
    private final class Ending: Sendable {
        private let ended = OneShot<Bool>()

        func during(_ body: () async throws -> Void) async throws {
            do {
                try await body()
                ended.set(Task.isCancelled)
            } catch {
                ended.set(Task.isCancelled)
                throw error
            }
        }

        var wasCancelled: Bool { get async { await ended.value() } }
    }

    private static func forever() async throws { try await Task.sleep(for: .seconds(600)) }

    @Test(arguments: [FunctionManifest.Executor.loop, .pool])
    func `messages come back as they were, whatever stands between`(executor: FunctionManifest.Executor) async throws {
        try await HTTPTestServer.with([HTTPTestServer.socket(executor: executor, HTTPTestServer.echo)]) { server in
            let client = try await server.open()
            let large = (0..<300_000).map { UInt8(truncatingIfNeeded: $0) }
            try await client.send(
                .text("one"), .text("tw", isFinal: false), ClientFrame(9, [7]), ClientFrame(0, Array("o".utf8)),
                ClientFrame(2, large), ClientFrame(10), .text(""))
            var frames = try await client.frames(5)
            let pong = try #require(frames.firstIndex(of: .pong([7])))
            frames.remove(at: pong)
            #expect(frames == [.text("one"), .text("two"), .init(opcode: 2, payload: large), .text("")])
            try await client.send(ClientFrame(8, [3, 232, 0x62]))
            #expect(try await client.frame() == .close(1000))
            try await client.ended()
            let line = try #require(server.log.lines("request").first)
            #expect(line.metadata["status"] == "101" && line.metadata["function"] == "s")
        }
    }

    @Test(arguments: [FunctionManifest.Executor.loop, .pool])
    func `what ends the socket waits for the answers to what came before`(
        executor: FunctionManifest.Executor
    ) async throws {
        try await HTTPTestServer.with([HTTPTestServer.socket(executor: executor, HTTPTestServer.echo)]) { server in
            for ending in [ClientFrame(8, [0x0F, 0xA0]), ClientFrame(1, reserved: 2), ClientFrame(8)] {
                let client = try await server.open()
                try await client.send(.text("a"), .text("b"), .text("c"), ending, ClientFrame(9))
                #expect(try await client.frames(3) == [.text("a"), .text("b"), .text("c")])
                let close = try await client.frame()
                #expect(close.opcode == 8)
                #expect(close.code == (ending.opcode == 1 ? 1002 : ending.payload.isEmpty ? nil : 4000))
                #expect(try await client.ended() == "")
            }
        }
    }

    @Test func `frames that come with the request are taken, and no HTTP follows a socket`() async throws {
        try await HTTPTestServer.with([HTTPTestServer.socket(HTTPTestServer.echo)]) { server in
            let client = SocketClient(raw: try await server.connect())
            let frames = ClientFrame.text("early").bytes + ClientFrame(8).bytes
            try await client.raw.send(
                Array(SocketClient.request().utf8) + frames + Array("GET / HTTP/1.1\r\n\r\n".utf8))
            #expect(try await client.raw.response().status == 101)
            #expect(try await client.frames(2) == [.text("early"), .init(opcode: 8, payload: [])])
            #expect(try await client.ended() == "")
        }
    }

    @Test func `a handler that does not read has pings answered and learns of the close`() async throws {
        let ending = Ending()
        let push = HTTPTestServer.socket { _, upgrade, _ in
            let socket = try await upgrade.accept()
            try await socket.send(.text("hello"))
            try await ending.during { try await Self.forever() }
        }
        try await HTTPTestServer.with([push]) { server in
            let client = try await server.open()
            #expect(try await client.frame() == .text("hello"))
            try await client.send(ClientFrame(9, [1]), ClientFrame(9, [2]), ClientFrame(8, [3, 233]))
            #expect(try await client.frames(3) == [.pong([1]), .pong([2]), .close(1001)])
            #expect(await ending.wasCancelled)
        }
    }

    @Test func `a handler that reads nothing slows its client down`() async throws {
        let gate = OneShot<Bool>()
        let count = Shared(0)
        let slow = HTTPTestServer.socket(timeout: .seconds(100)) { _, upgrade, _ in
            let socket = try await upgrade.accept()
            _ = await gate.value()
            for try await _ in socket { count.update { $0 += 1 } }
        }
        try await HTTPTestServer.with([slow]) { server in
            let client = try await server.open()
            // More than the kernel's buffers hold.
            var bytes = ByteBuffer()
            for _ in 0..<24 {
                bytes.writeBytes([0x82, 0xFF, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0])
                bytes.writeRepeatingByte(1, count: 1 << 20)
            }
            async let sent: Void = client.raw.send(bytes)
            var (last, repeats) = (0, 0)
            await eventually(within: .seconds(30), "the client cannot send any more") {
                let unsent = (try? await client.raw.unsentBytes()) ?? 0
                repeats = unsent > 0 && unsent == last ? repeats + 1 : 0
                last = unsent
                return repeats == 10
            }
            #expect(count.value == 0)
            gate.set(true)
            try await sent
            await eventually(within: .seconds(30), "all were read") { count.value == 24 }
            client.raw.close()
        }
    }

    @Test func `a client that takes nothing holds its sender, and is dropped`() async throws {
        let ending = Ending()
        let count = Shared(0)
        let flood = HTTPTestServer.socket { _, upgrade, _ in
            let socket = try await upgrade.accept()
            let message = WebSocketMessage.binary(ByteBuffer(repeating: 1, count: 65_536))
            for try await _ in socket { break }
            try await ending.during {
                while true {
                    try await socket.send(message)
                    count.update { $0 += 1 }
                }
            }
        }
        try await HTTPTestServer.with([flood]) {
            $0.writePauseTimeout = .milliseconds(500)
        } _: { server in
            let client = try await server.open()
            try await client.raw.setReading(false)
            try await client.send(.text("go"))
            #expect(await ending.wasCancelled)
            // What the kernels hold, not more.
            #expect(count.value < 400)
            client.raw.close()
        }
    }

    @Test func `pings beyond what the client takes leave the newest answer`() async throws {
        try await HTTPTestServer.with([HTTPTestServer.socket(HTTPTestServer.echo)]) { server in
            let client = try await server.open()
            try await client.raw.setSmallReceiveBuffer()
            try await client.raw.setReading(false)
            var bytes = ByteBuffer()
            let count: UInt32 = 45_000
            for number in 1...count {
                bytes.writeBytes([0x89, 0x80 | 124, 0, 0, 0, 0])
                bytes.writeInteger(number)
                bytes.writeRepeatingByte(0, count: 120)
            }
            try await client.raw.send(bytes)
            try await client.raw.setReading(true)
            var (last, received) = (UInt32(0), 0)
            while last < count {
                let payload = try await client.frame().payload
                let number = payload.prefix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
                try #require(payload.count == 124 && number > last)
                last = number
                received += 1
            }
            #expect(received < count)
            client.raw.close()
        }
    }

    @Test func `returning closes with 1000, an error with 1011 and a line`() async throws {
        struct Failure: Error {}
        let function = HTTPTestServer.socket { request, upgrade, _ in
            let socket = try await upgrade.accept()
            for try await message in socket {
                if message.string == "fail" { throw Failure() }
                if message.string == "close" { await socket.close(WebSocketCloseCode(rawValue: 4001), reason: "why") }
                if message.string == "return" { return }
            }
        }
        try await HTTPTestServer.with([function]) { server in
            for (word, frame) in [
                ("return", SocketClient.Frame.close(1000)), ("fail", .close(1011)), ("close", .close(4001, "why")),
            ] {
                let client = try await server.open()
                try await client.send(.text(word))
                #expect(try await client.frame() == frame)
                // What comes meanwhile is dropped.
                try await client.send(.text("late"), ClientFrame(9), ClientFrame(8, Array(frame.payload.prefix(2))))
                #expect(try await client.ended() == "")
            }
            #expect(server.log.lines("a socket's handler failed").count == 1)
        }
    }

    @Test func `a client that does not answer the close frame is left after a while`() async throws {
        let function = HTTPTestServer.socket { _, upgrade, _ in _ = try await upgrade.accept() }
        try await HTTPTestServer.with([function]) { server in
            let client = try await server.open()
            #expect(try await client.frame() == .close(1000))
            let start = ContinuousClock.now
            try await client.ended()
            // The frame may have waited for this reader.
            #expect(ContinuousClock.now - start > .seconds(1))
        }
    }

    @Test(arguments: [true, false])
    func `the deadline closes with 1001, shutdown with 1012, and both cancel`(isShutdown: Bool) async throws {
        let ending = Ending()
        let function = HTTPTestServer.socket(timeout: isShutdown ? .seconds(20) : .milliseconds(500)) { _, upgrade, _ in
            let socket = try await upgrade.accept()
            try await ending.during { for try await _ in socket {} }
        }
        try await HTTPTestServer.with([function]) { server in
            let client = try await server.open()
            if isShutdown { await server.shutDown() }
            let close = SocketClient.Frame.close(isShutdown ? 1012 : 1001)
            #expect(try await client.frame() == close)
            #expect(await ending.wasCancelled)
            try await client.send(ClientFrame(8, close.payload))
            try await client.ended()
        }
    }

    @Test(arguments: [true, false])
    func `a client that leaves, or closes its side, ends the handler`(closesAll: Bool) async throws {
        let ending = Ending()
        let function = HTTPTestServer.socket { _, upgrade, _ in
            let socket = try await upgrade.accept()
            try await ending.during {
                for try await _ in socket {}
                try await Self.forever()
            }
        }
        try await HTTPTestServer.with([function]) { server in
            let client = try await server.open()
            if closesAll { client.raw.close() } else { try await client.raw.closeOutput() }
            #expect(await ending.wasCancelled)
            await eventually("its place is free") { server.runners["s"]?.counts.running == 0 }
        }
    }

    @Test func `a silent client is pinged, then dropped; one that answers stays`() async throws {
        let ending = Ending()
        let function = HTTPTestServer.socket { _, upgrade, _ in
            let socket = try await upgrade.accept()
            try await ending.during { for try await _ in socket {} }
        }
        try await HTTPTestServer.with([function]) {
            $0.pingInterval = .seconds(2)
        } _: { server in
            let client = try await server.open()
            #expect(try await client.frame() == .init(opcode: 9, payload: []))
            try await client.send(ClientFrame(10))
            #expect(try await client.frame() == .init(opcode: 9, payload: []))
            try await client.ended()
            #expect(await ending.wasCancelled)
        }
    }

    @Test func `until it is accepted it is a request like any other`() async throws {
        let function = HTTPTestServer.socket(concurrency: 2) { request, upgrade, _ in
            switch request.query {
            case "none": return
            case "twice":
                _ = try await upgrade.accept()
                await #expect(throws: HTTPError.self) { _ = try await upgrade.accept() }
            case "protocol": _ = try await upgrade.accept(protocol: "other")
            case "hold": try await Task.sleep(for: .seconds(600))
            default: throw HTTPError(.notFound, message: "Nothing here.")
            }
        }
        try await HTTPTestServer.with([function]) { server in
            let client = SocketClient(raw: try await server.connect())
            for (path, headers, status) in [
                ("/s", "", 404), ("/s?none", "", 204), ("/s?protocol", "sec-websocket-protocol: a, b\r\n", 500),
                ("/s", "origin: http://evil.example\r\n", 403),
            ] {
                try await client.raw.send(SocketClient.request(path, headers))
                #expect(try await client.raw.response().status == status)
            }
            let plain = try await server.get("/s")
            #expect(plain.status == 426 && plain["upgrade"] == "websocket" && plain["sec-websocket-version"] == "13")
            try await client.raw.send(SocketClient.request("/s?twice"))
            #expect(try await client.raw.response().status == 101)
            #expect(try await client.frame() == .close(1000))
            client.raw.close()
            let holders = [try await server.connect(), try await server.connect()]
            for holder in holders { try await holder.send(SocketClient.request("/s?hold")) }
            await eventually("both are in") { server.runners["s"]?.counts.running == 2 }
            let turnedAway = try await server.connect()
            try await turnedAway.send(SocketClient.request())
            #expect(try await turnedAway.response().status == 503)
            for holder in holders + [turnedAway] { holder.close() }
        }
    }

    @Test func `a sub-protocol is chosen among those offered`() async throws {
        let function = HTTPTestServer.socket { _, upgrade, _ in
            #expect(upgrade.protocols == ["a", "b"])
            let socket = try await upgrade.accept(protocol: "b")
            for try await _ in socket {}
        }
        try await HTTPTestServer.with([function]) { server in
            let client = try await server.connect()
            try await client.send(SocketClient.request("/s", "sec-websocket-protocol: a, b\r\n"))
            let head = try await client.response()
            #expect(head.status == 101 && head["sec-websocket-protocol"] == "b" && head["content-length"] == nil)
            client.close()
        }
    }

    @Test(arguments: FunctionManifest.Compression.allCases)
    func `compression is as the manifest has it`(compression: FunctionManifest.Compression) async throws {
        let function = HTTPTestServer.socket(compression: compression, HTTPTestServer.echo)
        try await HTTPTestServer.with([function]) { server in
            let client = SocketClient(raw: try await server.connect())
            try await client.raw.send(
                SocketClient.request("/s", "sec-websocket-extensions: permessage-deflate\r\n"))
            let head = try await client.raw.response()
            let agreed = head["sec-websocket-extensions"]
            switch compression {
            case .off: #expect(agreed == nil)
            case .message:
                #expect(agreed == "permessage-deflate; server_no_context_takeover; client_no_context_takeover")
            case .context: #expect(agreed == "permessage-deflate")
            }
            let hello = WebSocketDeflateTests.hello[0]
            if compression == .off {
                try await client.send(ClientFrame(1, hello, reserved: 4))
                #expect(try await client.frame().code == 1002)
                return
            }
            try await client.send(ClientFrame(1, hello, reserved: 4))
            let answer = try await client.frame()
            #expect(answer.isCompressed == (compression == .context))
            try await client.send(ClientFrame(1, [UInt8](repeating: 0x61, count: 5000)))
            let large = try await client.frame()
            #expect(large.isCompressed && large.payload.count < 500)
            client.raw.close()
        }
    }

    @Test func `a message that is too large closes with 1009, one at the limit does not`() async throws {
        let function = HTTPTestServer.socket(maxMessageBytes: 1000, HTTPTestServer.echo)
        try await HTTPTestServer.with([function]) { server in
            let client = try await server.open()
            try await client.send(ClientFrame(2, [UInt8](repeating: 0, count: 1000)))
            #expect(try await client.frame().payload.count == 1000)
            // The head alone says it.
            try await client.raw.send([0x82, 0xFE, 0x03, 0xE9])
            #expect(try await client.frame().code == 1009)
            try await client.ended()
        }
    }

    @Test func `several tasks send, one is cancelled, and the others' messages arrive whole`() async throws {
        let function = HTTPTestServer.socket(executor: .pool) { _, upgrade, _ in
            let socket = try await upgrade.accept()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for sender in UInt8(0)..<4 {
                    group.addTask {
                        let message = WebSocketMessage.binary(ByteBuffer(repeating: sender, count: 50_000))
                        for _ in 0..<20 { try await socket.send(message) }
                    }
                }
                try await group.waitForAll()
            }
            let reader = Task { () -> Bool in
                do {
                    for try await _ in socket {}
                    return false
                } catch { return error is CancellationError }
            }
            reader.cancel()
            #expect(await reader.value)
            try await socket.send(.text("ready"))
            for try await message in socket {
                try await socket.send(message)
                return
            }
        }
        try await HTTPTestServer.with([function]) { server in
            let client = try await server.open()
            var counts = [0, 0, 0, 0]
            for _ in 0..<80 {
                let frame = try await client.frame()
                let sender = try #require(frame.payload.first)
                #expect(frame.payload == [UInt8](repeating: sender, count: 50_000))
                counts[Int(sender)] += 1
            }
            #expect(counts == [20, 20, 20, 20])
            #expect(try await client.frame() == .text("ready"))
            try await client.send(.text("still here"))
            #expect(try await client.frames(2) == [.text("still here"), .close(1000)])
            client.raw.close()
        }
    }
}
