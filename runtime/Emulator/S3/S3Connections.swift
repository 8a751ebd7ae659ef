internal import NIOCore
internal import Synchronization

/// The open connections of the endpoint: their number is limited, and those without a request close at shutdown.
final class S3Connections: Sendable {
    private struct State {
        var channels: [ObjectIdentifier: (channel: any Channel, isBusy: Bool)] = [:]
        var isDraining = false
    }

    private let limit: Int
    private let state = Mutex(State())

    init(limit: Int) { self.limit = limit }

    /// Whether requests that are under way are the last ones.
    var isDraining: Bool { state.withLock { $0.isDraining } }

    /// Counts a connection in; `false` when there are too many, or no more are wanted.
    func add(_ channel: any Channel) -> Bool {
        state.withLock { state in
            guard !state.isDraining, state.channels.count < limit else { return false }
            state.channels[ObjectIdentifier(channel)] = (channel, false)
            return true
        }
    }

    func remove(_ channel: any Channel) {
        state.withLock { _ = $0.channels.removeValue(forKey: ObjectIdentifier(channel)) }
    }

    func setBusy(_ channel: any Channel, _ isBusy: Bool) {
        state.withLock { $0.channels[ObjectIdentifier(channel)]?.isBusy = isBusy }
    }

    /// Closes the connections without a request; the others close after their answer.
    func drain() { close(whereBusy: false) }

    /// Closes all connections, whatever is under way.
    func closeAll() { close(whereBusy: true) }

    private func close(whereBusy closesBusy: Bool) {
        let doomed = state.withLock { state in
            state.isDraining = true
            return state.channels.values.filter { closesBusy || !$0.isBusy }.map(\.channel)
        }
        for channel in doomed { channel.close(promise: nil) }
    }
}
