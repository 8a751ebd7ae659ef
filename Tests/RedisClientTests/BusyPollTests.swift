import FunctionKit
import Glibc
import NIOCore
import Testing

@testable import RedisClient

@Suite struct BusyPollTests {
    /// A pair of sockets, closed at the end.
    private func withSockets(_ body: (_ one: CInt, _ other: CInt) throws -> Void) throws {
        var pair: [CInt] = [0, 0]
        try #require(socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, &pair) == 0)
        defer { for socket in pair { close(socket) } }
        try body(pair[0], pair[1])
    }

    private func time(_ body: () -> Void) -> TimeAmount {
        let start = NIODeadline.now()
        body()
        return .now() - start
    }

    @Test func returnsAtOnceWhenThereIsSomethingToRead() throws {
        try withSockets { one, other in
            var poll = BusyPoll(limit: .seconds(60))
            #expect(write(other, "x", 1) == 1)
            #expect(time { poll.look(at: one) } < .seconds(30))
        }
    }

    @Test func aPeerThatIsGoneIsSomethingToRead() throws {
        try withSockets { one, other in
            var poll = BusyPoll(limit: .seconds(60))
            shutdown(other, CInt(SHUT_RDWR))
            #expect(time { poll.look(at: one) } < .seconds(30))
        }
    }

    @Test func looksEverMoreSeldomWhereItIsInVain() throws {
        try withSockets { one, _ in
            var poll = BusyPoll(limit: .milliseconds(2))
            let looks = (0..<64).map { _ in time { poll.look(at: one) } >= .milliseconds(2) }
            // After each look in vain twice as many pass without one: 1, 2, 4, 8, 16, 32.
            let places = looks.indices.filter { looks[$0] }
            #expect(Set([0, 2, 5, 10, 19, 36]).isSubset(of: places))
        }
    }

    @Test func aLookThatSucceedsStartsAnew() throws {
        try withSockets { one, other in
            var poll = BusyPoll(limit: .milliseconds(2))
            for _ in 0..<3 { poll.look(at: one) }
            #expect(write(other, "x", 1) == 1)
            for _ in 0..<3 { poll.look(at: one) }
            var byte: CChar = 0
            #expect(read(one, &byte, 1) == 1)
            #expect(time { poll.look(at: one) } >= .milliseconds(2))
            poll.look(at: one)
            #expect(time { poll.look(at: one) } >= .milliseconds(2))
        }
    }

    @Test func withoutALimitItDoesNotLook() throws {
        try withSockets { one, _ in
            var poll = BusyPoll(limit: .zero)
            for _ in 0..<1000 { poll.look(at: one) }
        }
    }

    @Test func commandsAreAnsweredWhetherTheReplyIsQuickOrSlow() async throws {
        try await TestRedis.with { redis in
            try await withClient(redis.socketURL) {
                $0.busyPoll = .microseconds(200)
            } _: { client in
                for number in 0..<200 { #expect(try await client.send(["ECHO", "\(number)"]).string == "\(number)") }
                let slow = StoreScript(
                    name: "slow",
                    source: """
                        local start = redis.call('TIME')
                        repeat
                          local now = redis.call('TIME')
                        until (now[1] - start[1]) * 1000000 + now[2] - start[2] > 3000
                        return 1
                        """)
                for _ in 0..<10 {
                    #expect(try await client.evaluate(slow, keys: [], arguments: []).integer == 1)
                }
                async let one = client.send(["ECHO", "a"])
                async let two = client.send(["ECHO", "b"])
                let both = try await [one.string, two.string]
                #expect(both == ["a", "b"])
            }
        }
    }
}
