import NIOCore
import Testing

@testable import RedisClient

@Suite struct SubscriptionBufferTests {
    private func message(_ number: Int) -> RedisSubscription.Element { .message(ByteBuffer(string: "\(number)")) }

    @Test func keepsTheNewestAndTellsOfTheGap() async {
        let buffer = SubscriptionBuffer(limit: 3)
        for number in 1...5 { buffer.push(message(number)) }
        for expected in [.gap, message(3), message(4), message(5)] { #expect(await buffer.next() == expected) }
        buffer.push(message(6))
        #expect(await buffer.next() == message(6))
    }

    @Test func oneGapStandsForSeveral() async {
        let buffer = SubscriptionBuffer(limit: 10)
        buffer.push(message(1))
        buffer.push(.gap)
        buffer.push(.gap)
        buffer.push(message(2))
        for expected in [message(1), .gap, message(2)] { #expect(await buffer.next() == expected) }
    }

    @Test func aWaitingReaderGetsTheElementOrTheEnd() async {
        let buffer = SubscriptionBuffer(limit: 1)
        async let first = buffer.next()
        buffer.push(message(1))
        #expect(await first == message(1))
        async let second = buffer.next()
        buffer.finish(discarding: false)
        #expect(await second == nil)
        buffer.push(message(2))
        #expect(await buffer.next() == nil)
    }

    @Test(arguments: [true, false])
    func theEndDiscardsWhatWaitsOnlyWhenAsked(_ isDiscarding: Bool) async {
        let buffer = SubscriptionBuffer(limit: 5)
        buffer.push(message(1))
        buffer.finish(discarding: isDiscarding)
        #expect(await buffer.next() == (isDiscarding ? nil : message(1)))
        #expect(await buffer.next() == nil)
    }
}
