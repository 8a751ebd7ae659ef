public import NIOCore

/// The messages of one channel, for one reader. Ends when it is cancelled, dropped, or the client is closed.
public final class RedisSubscription: AsyncSequence, Sendable {
    /// Nothing is thrown: a lost connection is a ``Element/gap``.
    public typealias Failure = Never

    /// What a subscription delivers.
    public enum Element: Sendable, Hashable {
        /// A message's bytes.
        case message(ByteBuffer)
        /// Messages may be missing here: the connection was lost and made anew, or the reader was too slow.
        case gap
    }

    /// Reads a subscription, which lives as long as it.
    public struct AsyncIterator: AsyncIteratorProtocol {
        let subscription: RedisSubscription

        /// The next element; `nil` once the subscription or its client is closed, or the task is cancelled, which also
        /// cancels the subscription.
        public mutating func next() async -> Element? {
            await withTaskCancellationHandler {
                await subscription.buffer.next()
            } onCancel: { [subscription] in
                subscription.cancel()
            }
        }
    }

    /// The channel.
    public let channel: String
    private let buffer: SubscriptionBuffer
    private let hub: SubscriptionHub

    init(_ channel: String, _ buffer: SubscriptionBuffer, _ hub: SubscriptionHub) {
        self.channel = channel
        self.buffer = buffer
        self.hub = hub
    }

    deinit { cancel() }

    /// Reads the subscription; one reader at a time.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(subscription: self) }

    /// Ends the subscription; the last one of a channel unsubscribes.
    public func cancel() {
        guard !buffer.isFinished else { return }
        buffer.finish(discarding: true)
        hub.remove(buffer, from: channel)
    }
}
