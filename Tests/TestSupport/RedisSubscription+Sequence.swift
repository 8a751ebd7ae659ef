public import FunctionKit
public import RedisClient

extension RedisSubscription: AsyncSequence {
    /// Reads a subscription one element at a time.
    public struct AsyncIterator: AsyncIteratorProtocol {
        let subscription: RedisSubscription
        private var waiting: ArraySlice<ChannelElement> = []

        init(_ subscription: RedisSubscription) { self.subscription = subscription }

        /// The next element; `nil` at the end.
        public mutating func next() async -> ChannelElement? {
            if waiting.isEmpty { waiting = await subscription.next()[...] }
            return waiting.popFirst()
        }
    }

    /// Reads the subscription; one reader at a time.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(self) }
}
