internal import Logging
internal import NIOCore
internal import Synchronization

/// What all connections of a server share.
final class ServerCore: Sendable {
    let logger: Logger
    let guards: RequestGuards
    /// Told of every request that a function, or nothing, answers.
    let observe: InvocationReport.Observer?
    private let current: Mutex<HTTPServerOptions>
    private let draining = Atomic(false)
    private let connectionCount = Atomic(0)
    private let freedMemory = FreedMemory()
    private let emptied = Mutex<OneShot<Bool>?>(nil)

    init(options: HTTPServerOptions, guards: RequestGuards, logger: Logger, observe: InvocationReport.Observer?) {
        current = Mutex(options)
        self.guards = guards
        self.logger = logger
        self.observe = observe
    }

    /// The options that hold now. Connections read those of their loop.
    var options: HTTPServerOptions {
        get { current.withLock { $0 } }
        set { current.withLock { $0 = newValue } }
    }

    /// Whether the server is shutting down: each connection ends with its next answer.
    var isDraining: Bool { draining.load(ordering: .relaxed) }

    func beginDraining() { draining.store(true, ordering: .sequentiallyConsistent) }

    /// Counts a connection.
    ///
    /// - Returns: How many there are now.
    func connectionOpened() -> Int {
        let count = connectionCount.add(1, ordering: .relaxed).newValue
        freedMemory.connectionsGrew(to: count)
        return count
    }

    func connectionClosed(on loop: any EventLoop) {
        let count = connectionCount.subtract(1, ordering: .sequentiallyConsistent).newValue
        freedMemory.connectionsShrank(to: count, on: loop)
        guard count == 0, isDraining else { return }
        emptied.withLock { $0 }?.set(true)
    }

    /// Waits until no connection is left.
    ///
    /// - Returns: `false` when the time ended before.
    func waitUntilEmpty(within time: Duration, timer loop: any EventLoop) async -> Bool {
        let outcome = OneShot<Bool>()
        emptied.withLock { $0 = outcome }
        if connectionCount.load(ordering: .sequentiallyConsistent) == 0 { outcome.set(true) }
        let timer = loop.scheduleTask(in: TimeAmount(time)) { outcome.set(false) }
        let isEmpty = await outcome.value()
        timer.cancel()
        return isEmpty
    }
}
