import NIOCore
import Synchronization

/// Closes channels that are still being connected when their task is cancelled.
final class ChannelHolder: Sendable {
    private struct State {
        // One for each address of a name that was tried.
        var channels: [any Channel] = []
        var isReleased = false
    }

    private let state = Mutex(State())

    /// Keeps a channel; closes it at once when all were released before.
    func hold(_ channel: any Channel) {
        let isReleased = state.withLock { state in
            state.channels.append(channel)
            return state.isReleased
        }
        if isReleased { channel.close(promise: nil) }
    }

    /// Closes the channels, those that come later too.
    func release() {
        let channels = state.withLock { state in
            state.isReleased = true
            return state.channels
        }
        for channel in channels { channel.close(promise: nil) }
    }
}
