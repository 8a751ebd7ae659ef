/// The messages of one channel of the ``KeyValueStore``, for one reader.
///
/// However many readers a channel has in a process, the store sends each message once. The subscription ends when it is
/// cancelled or dropped, or when the store is closed.
public protocol ChannelSubscription: AnyObject, Sendable {
    /// Waits for messages and takes all that have come since the last call.
    ///
    /// One reader at a time. What a slow reader leaves is bounded: beyond that the oldest are dropped and a
    /// ``ChannelElement/gap`` stands for them.
    ///
    /// - Returns: The elements in order, at least one; empty once the subscription has ended.
    /// - Cancellation: ends the subscription and returns empty.
    func next() async -> [ChannelElement]

    /// Ends the subscription; the last one of a channel unsubscribes.
    func cancel()
}

/// What a subscription delivers.
public enum ChannelElement: Sendable, Hashable {
    /// A message's bytes.
    case message(ByteBuffer)
    /// Messages may be missing here: the connection was lost and made anew, the reader was too slow, or nothing has come
    /// for so long, about a minute, that it is time to look.
    case gap
}
