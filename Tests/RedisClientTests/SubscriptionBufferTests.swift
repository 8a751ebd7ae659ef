import FunctionKit
import NIOCore
import Testing

@testable import RedisClient

@Suite struct SubscriptionBufferTests {
    private func message(_ number: Int) -> ChannelElement { .message(ByteBuffer(string: "\(number)")) }

    @Test func keepsTheNewestAndTellsOfTheGap() async {
        let buffer = SubscriptionBuffer(limit: 3)
        for number in 1...5 { buffer.push(message(number)) }
        #expect(await buffer.next() == [.gap, message(3), message(4), message(5)])
        buffer.push(message(6))
        #expect(await buffer.next() == [message(6)])
    }

    @Test func oneGapStandsForSeveral() async {
        let buffer = SubscriptionBuffer(limit: 3)
        buffer.push(message(1))
        buffer.push(.gap)
        buffer.push(.gap)
        buffer.push(message(2))
        #expect(await buffer.next() == [message(1), .gap, message(2)])
        buffer.push(message(1))
        buffer.push(.gap)
        for number in 2...3 { buffer.push(message(number)) }
        #expect(await buffer.next() == [.gap, message(2), message(3)])
    }

    @Test func aWaitingReaderGetsTheElementOrTheEnd() async {
        let buffer = SubscriptionBuffer(limit: 1)
        async let first = buffer.next()
        buffer.push(message(1))
        #expect(await first == [message(1)])
        async let second = buffer.next()
        buffer.finish(discarding: false)
        #expect(await second == [])
        buffer.push(message(2))
        #expect(await buffer.next() == [])
    }

    @Test(arguments: [true, false])
    func theEndDiscardsWhatWaitsOnlyWhenAsked(_ isDiscarding: Bool) async {
        let buffer = SubscriptionBuffer(limit: 5)
        buffer.push(message(1))
        buffer.finish(discarding: isDiscarding)
        #expect(await buffer.next() == (isDiscarding ? [] : [message(1)]))
        #expect(await buffer.next() == [])
    }
}
