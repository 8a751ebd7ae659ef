public import FunctionKit
public import Logging
import NIOCore
public import NIOPosix
import Synchronization

/// Redis for this process: one multiplexed command connection per event loop, one for pub/sub, blocking ones on demand.
///
/// A caller on an event loop of the group uses that loop's connection, without changing threads; others take turns.
/// Commands of one task are run in the order in which they are sent as long as it stays on one loop or awaits each.
/// Connections are made when they are first needed and made anew, with back-off and for ever, when they are lost. What
/// was written to a lost connection fails and is never sent again; what was not waits for the next, up to its deadline.
/// SUBSCRIBE, MONITOR and commands that block must not be sent here; they have methods of their own.
public final class RedisClient: Sendable, KeyValueStore {
    private struct Blocking {
        var connections: [ObjectIdentifier: RedisConnection] = [:]
        var isClosed = false
    }

    private let transport: RedisTransport
    private let group: MultiThreadedEventLoopGroup
    private let logger: Logger
    private let connections: [RedisConnection]
    private let hub: SubscriptionHub
    private let turn = Atomic<Int>(0)
    private let blocking = Mutex(Blocking())
    private let commandTimeout: TimeAmount

    /// Makes a client, which does nothing until it is first used, and must be closed before its group is shut down.
    ///
    /// - Parameters:
    ///   - configuration: Where Redis is and what is allowed.
    ///   - group: The event loops.
    ///   - logger: Told about connections, at debug level.
    public init(_ configuration: RedisConfiguration, group: MultiThreadedEventLoopGroup, logger: Logger) {
        let transport = RedisTransport(configuration)
        self.transport = transport
        self.group = group
        self.logger = logger
        connections = group.makeIterator().map { loop in
            RedisConnection(transport, name: nil, isExclusive: false, eventLoop: loop, logger: logger)
        }
        hub = SubscriptionHub(transport, eventLoop: group.next(), logger: logger)
        commandTimeout = TimeAmount(configuration.commandTimeout)
    }

    private var connection: RedisConnection {
        // Few loops, and each comparison is one of thread ids: cheaper than a dictionary.
        if MultiThreadedEventLoopGroup.currentEventLoop != nil,
            let own = connections.first(where: { $0.eventLoop.inEventLoop })
        {
            return own
        }
        let number = turn.wrappingAdd(1, ordering: .relaxed).oldValue
        return connections[Int(UInt(bitPattern: number) % UInt(connections.count))]
    }

    /// Sends one command and waits for its reply.
    ///
    /// - Parameters:
    ///   - command: The command.
    ///   - timeout: The time until the reply, connecting included; the configured one when `nil`.
    /// - Returns: The reply, never ``RESPValue/error(_:)``.
    /// - Throws: ``RedisError``: `.server` for the server's error reply, `.timeout`, `.connection`, `.overloaded`,
    ///   `.closed`, `.cancelled`, `.protocolViolation`.
    /// - Cancellation: the wait ends at once; a command already sent may have run.
    public func send(_ command: RedisCommand, timeout: Duration? = nil) async throws(RedisError) -> RESPValue {
        try await connection.send(command, timeout: timeout.map { TimeAmount($0) } ?? commandTimeout)
    }

    /// Sends commands in one write and waits for all replies.
    ///
    /// - Parameters:
    ///   - commands: The commands, run in order, though others may come between them.
    ///   - timeout: The time until the last reply; the configured one when `nil`.
    /// - Returns: The replies in order; a server's error is an element.
    /// - Throws: As ``send(_:timeout:)``, `.server` aside; any number of the commands may then have run.
    /// - Cancellation: as ``send(_:timeout:)``.
    public func pipeline(
        _ commands: [RedisCommand], timeout: Duration? = nil
    ) async throws(RedisError) -> [RESPValue] {
        try await connection.pipeline(commands, timeout: timeout.map { TimeAmount($0) } ?? commandTimeout)
    }

    /// Makes a connection of its own for blocking commands.
    ///
    /// - Parameter name: The connection's name in `CLIENT LIST`; the configured one when `nil`.
    /// - Returns: The connection, which connects at its first call.
    public func blockingConnection(name: String? = nil) -> RedisBlockingConnection {
        let connection = RedisConnection(
            transport, name: name, isExclusive: true,
            eventLoop: MultiThreadedEventLoopGroup.currentEventLoop ?? group.next(), logger: logger)
        let isClosed = blocking.withLock { blocking in
            if !blocking.isClosed { blocking.connections[ObjectIdentifier(connection)] = connection }
            return blocking.isClosed
        }
        if isClosed { connection.refuseCalls() }
        return RedisBlockingConnection(connection) { [weak self] closed in
            self?.blocking.withLock { $0.connections[ObjectIdentifier(closed)] = nil }
        }
    }

    /// Subscribes to a channel; returns when the server has confirmed it, so that no message sent later is missed.
    ///
    /// - Parameter channel: The channel's name.
    /// - Returns: The subscription, which ends when it is dropped.
    /// - Throws: ``RedisError``: `.timeout` or `.connection` after the command timeout, `.server` when the server refuses
    ///   the channel, `.overloaded`, `.closed`, `.cancelled`.
    public func subscribe(_ channel: String) async throws(RedisError) -> RedisSubscription {
        try await hub.subscribe(channel, timeout: commandTimeout)
    }

    /// Takes no more commands, waits for outstanding replies up to the command timeout, and closes all connections.
    public func close() async {
        let blocking = blocking.withLock { blocking in
            blocking.isClosed = true
            defer { blocking.connections = [:] }
            return Array(blocking.connections.values)
        }
        await withDiscardingTaskGroup { tasks in
            for connection in connections {
                tasks.addTask { await connection.close(within: self.commandTimeout) }
            }
            for connection in blocking {
                tasks.addTask { await connection.close(within: .zero) }
            }
            tasks.addTask { await self.hub.close() }
        }
    }
}

extension RedisClient {
    /// As ``send(_:timeout:)``, with `CancellationError` when cancelled.
    public func send(_ command: [String]) async throws -> RESPValue {
        try await run(RedisCommand(command))
    }

    /// Runs a script; as ``send(_:timeout:)``, with `CancellationError` when cancelled.
    public func evaluate(_ script: StoreScript, keys: [String], arguments: [String]) async throws -> RESPValue {
        try await run(.evaluate(script, keys: keys, arguments: arguments.map { .string($0) }))
    }

    /// Listens to a channel; as ``subscribe(_:)``, with `CancellationError` when cancelled.
    public func listen(to channel: String) async throws -> any ChannelSubscription {
        do {
            return try await subscribe(channel)
        } catch  where error.code == .cancelled {
            throw CancellationError()
        }
    }

    /// Sends PING.
    public func check() async throws {
        _ = try await run(RedisCommand(["PING"]))
    }

    private func run(_ command: RedisCommand) async throws -> RESPValue {
        do {
            return try await send(command)
        } catch  where error.code == .cancelled {
            throw CancellationError()
        }
    }
}
