import Foundation
import FunctionKit
import NIOCore
import RedisClient
import Synchronization
import TestSupport
import Testing

/// Against a server that misbehaves.
@Suite(.timeLimit(.minutes(2))) struct RedisFaultTests {
    @Test func aCommandThatWasSentIsNeverSentAgain() async throws {
        try await FakeServer.with { received in
            if received.connection == 0 { received.close() } else { received.answer("+OK\r\n") }
        } _: { server in
            try await withClient(server.url, threads: 1) { client in
                let error = await redisError { try await client.send(["INCR", "first"]) }
                #expect(error?.code == .connection)
                let reply = try await client.send(["INCR", "second"])
                #expect(reply == .status("OK"))
                #expect(server.received.joined().components(separatedBy: "first").count == 2)
                #expect(server.connectionCount == 2)
            }
        }
    }

    @Test func aLateReplyIsDroppedAndTheNextCallerGetsItsOwn() async throws {
        let held = Mutex<[FakeServer.Received]>([])
        try await FakeServer.with { received in
            held.withLock { $0.append(received) }
        } _: { server in
            try await withClient(server.url, threads: 1) { client in
                async let slow = client.send(["A"])
                _ = await eventually { server.received.contains { $0.contains("A") } }
                async let short = redisError { try await client.send(RedisCommand(["B"]), timeout: .milliseconds(100)) }
                #expect(await short?.code == .timeout)
                let cancelled = Task { try await client.send(["C"]) }
                _ = await eventually { server.received.contains { $0.contains("C") } }
                cancelled.cancel()
                await #expect(throws: CancellationError.self) { try await cancelled.value }
                async let last = client.send(["D"])
                _ = await eventually { server.received.contains { $0.contains("D") } }
                held.withLock { $0.last }?.answer("+a\r\n+b\r\n+c\r\n+d\r\n")
                let replies = try await [slow, last]
                #expect(replies == [.status("a"), .status("d")])
                #expect(server.connectionCount == 1)
            }
        }
    }

    @Test func aSilentConnectionIsClosedForAllOnIt() async throws {
        try await FakeServer.with { received in
            if received.connection > 0 { received.answer("+OK\r\n") }
        } _: { server in
            try await withClient(server.url, threads: 1) {
                $0.commandTimeout = .milliseconds(500)
            } _: { client in
                async let first = redisError { try await client.send(["A"]) }
                _ = await eventually { server.received.joined().contains("A") }
                let second = await redisError { try await client.send(RedisCommand(["B"]), timeout: .seconds(60)) }
                #expect(await first?.code == .timeout)
                // It may have been late, and then went to the next connection.
                #expect(second == nil || second?.code == .timeout)
                let reply = try await client.send(RedisCommand(["C"]), timeout: .seconds(20))
                #expect(reply == .status("OK"))
                #expect(server.connectionCount == 2)
            }
        }
    }

    @Test(arguments: [
        "HTTP/1.1 400 Bad Request\r\n\r\n", ":x\r\n", "$3\r\nabcde", "\0\0\0\0", "*1\r\n%1\r\n", "+OK\r\n+more\r\n",
    ])
    func garbageEndsTheConnectionWithAnError(_ garbage: String) async throws {
        try await FakeServer.with { received in
            received.answer(received.connection == 0 ? garbage : "+OK\r\n")
        } _: { server in
            try await withClient(server.url, threads: 1) { client in
                let error = await redisError { try await client.send(["A"]) }
                // A reply too many comes after the right one.
                if !garbage.hasPrefix("+") { #expect(error?.code == .protocolViolation) }
                #expect(await eventually { (try? await client.send(["B"])) == .status("OK") })
                #expect(await eventually { server.connectionCount == 2 })
            }
        }
    }

    @Test func aPeerThatIsNoRedisGetsNoCommand() async throws {
        try await FakeServer.with(answersPing: false) { received in
            received.answer("HTTP/1.1 400 Bad Request\r\n\r\n")
        } _: { server in
            try await withClient(server.url, threads: 1) { client in
                let error = await redisError { try await client.send(RedisCommand(["A"]), timeout: .milliseconds(500)) }
                #expect(error?.code == .connection)
                #expect((error?.cause as? RedisError)?.code == .protocolViolation)
                #expect(Set(server.received) == [FakeServer.ping])
                #expect(server.connectionCount > 1)
            }
        }
    }

    @Test func aPeerThatDoesNotAnswerWhileConnectingIsTriedAgain() async throws {
        try await FakeServer.with(answersPing: false) { received in
            if received.connection > 0 { received.answer("+PONG\r\n") }
        } _: { server in
            try await withClient(server.url, threads: 1) {
                $0.connectTimeout = .milliseconds(100)
            } _: { client in
                try await client.check()
                #expect(server.connectionCount == 2)
            }
        }
    }

    @Test func aReplyBeyondTheBoundEndsTheConnection() async throws {
        try await FakeServer.with { received in
            received.answer(
                received.connection == 0 ? "$100000\r\n" + String(repeating: "x", count: 50_000) : "+OK\r\n")
        } _: { server in
            try await withClient(server.url, threads: 1) {
                $0.maximumReplyBytes = 1000
            } _: { client in
                #expect(await redisError { try await client.send(["A"]) }?.code == .protocolViolation)
                let reply = try await client.send(["B"])
                #expect(reply == .status("OK"))
            }
        }
    }

    @Test func tooManyCommandsAreRefused() async throws {
        let held = Mutex<[FakeServer.Received]>([])
        try await FakeServer.with { received in
            held.withLock { $0.append(received) }
        } _: { server in
            try await withClient(server.url, threads: 1) {
                $0.maximumQueuedCommandCount = 2
            } _: { client in
                async let first = client.send(["A"])
                async let second = client.send(["B"])
                _ = await eventually {
                    server.received.joined().contains("A") && server.received.joined().contains("B")
                }
                #expect(await redisError { try await client.send(["C"]) }?.code == .overloaded)
                held.withLock { $0.last }?.answer("+a\r\n+b\r\n")
                _ = try await (first, second)
            }
        }
    }

    @Test func cancelledCallsWithoutAConnectionLeaveNothingBehind() async throws {
        let port = try await freePort()
        try await withClient("redis://127.0.0.1:\(port)", threads: 1) {
            $0.maximumQueuedCommandCount = 4
        } _: { client in
            for _ in 0..<50 {
                let task = Task { try await client.send(["A"]) }
                task.cancel()
                await #expect(throws: CancellationError.self) { try await task.value }
            }
            let error = await redisError { try await client.send(RedisCommand(["A"]), timeout: .milliseconds(50)) }
            #expect(error?.code == .connection)
        }
    }

    @Test func closingEndsWhatDoesNotFinish() async throws {
        try await FakeServer.with { _ in
        } _: { server in
            try await withClient(server.url, threads: 1) {
                $0.commandTimeout = .milliseconds(200)
            } _: { client in
                async let error = redisError { try await client.send(RedisCommand(["A"]), timeout: .seconds(60)) }
                _ = await eventually { server.received.joined().contains("A") }
                await client.close()
                #expect(await error?.code == .closed)
            }
        }
    }

    @Test func aSilentSubscriptionIsMadeAnew() async throws {
        try await FakeServer.with { received in
            if received.bytes.contains("SUBSCRIBE") {
                received.answer("*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n")
                if received.connection == 1 { received.answer("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n") }
            }
        } _: { server in
            try await withClient(server.url, threads: 1) {
                $0.commandTimeout = .milliseconds(500)
            } _: { client in
                let subscription = try await client.subscribe("c")
                var iterator = subscription.makeAsyncIterator()
                #expect(await iterator.next() == .gap)
                #expect(await iterator.next() == .message(ByteBuffer(string: "hi")))
            }
        }
    }

    @Test func aSubscriptionThatIsNotConfirmedFails() async throws {
        try await FakeServer.with { _ in
        } _: { server in
            try await withClient(server.url, threads: 1) {
                $0.commandTimeout = .milliseconds(200)
            } _: { client in
                #expect(await redisError { try await client.subscribe("c") }?.code == .timeout)
                let task = Task { try await client.subscribe("d") }
                task.cancel()
                #expect(await redisError { try await task.value }?.code == .cancelled)
            }
        }
    }
}
