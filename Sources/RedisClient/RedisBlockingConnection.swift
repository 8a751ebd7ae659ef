public import FunctionKit
import NIOCore

/// A connection of its own for commands that block on the server, such as BZPOPMIN. One call at a time.
///
/// It connects at the first call, and again at the next one after it was lost. Close it when it is no longer needed;
/// closing its client does so too.
public final class RedisBlockingConnection: Sendable {
    private let connection: RedisConnection
    private let onClose: @Sendable (RedisConnection) -> Void

    init(_ connection: RedisConnection, onClose: @escaping @Sendable (RedisConnection) -> Void) {
        self.connection = connection
        self.onClose = onClose
    }

    /// Sends one command and waits for its reply.
    ///
    /// - Parameters:
    ///   - command: The command.
    ///   - deadline: The time until the reply, connecting included; longer than the command's own time on the server.
    ///     When it has passed the socket is closed, so that the server gives the command up.
    /// - Returns: The reply, never ``RESPValue/error(_:)``.
    /// - Throws: ``RedisError``; `.timeout` for the deadline, `.cancelled` when interrupted or cancelled.
    /// - Cancellation: as for the deadline.
    public func send(_ command: RedisCommand, deadline: Duration) async throws(RedisError) -> RESPValue {
        try await connection.send(command, timeout: TimeAmount(deadline))
    }

    /// Ends a waiting call now, with ``RedisError/Code/cancelled``, by closing the socket. Without one, does nothing.
    public func interrupt() { connection.interrupt() }

    /// Closes the connection for good; a waiting call ends with ``RedisError/Code/closed``.
    public func close() async {
        await connection.close(within: .zero)
        onClose(connection)
    }
}
