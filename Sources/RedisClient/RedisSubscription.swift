public import FunctionKit

/// The messages of one channel, for one reader. Ends when it is cancelled, dropped, or the client is closed.
public final class RedisSubscription: ChannelSubscription {
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

    /// Waits for messages and takes all that have come since the last call; one reader at a time.
    ///
    /// - Returns: The elements, at least one; empty once the subscription or its client is closed. A lost connection is
    ///   a ``FunctionKit/ChannelElement/gap``, as is what a slow reader left behind, and as is a long silence.
    /// - Cancellation: ends the subscription and returns empty.
    public func next() async -> [ChannelElement] {
        await withTaskCancellationHandler {
            await buffer.next()
        } onCancel: {
            cancel()
        }
    }

    /// Ends the subscription; the last one of a channel unsubscribes.
    public func cancel() {
        guard !buffer.isFinished else { return }
        buffer.finish(discarding: true)
        hub.remove(buffer, from: channel)
    }
}
