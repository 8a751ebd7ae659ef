internal import AsyncHTTPClient
internal import NIOCore
internal import Synchronization

/// HTTP clients that take turns, each with an event loop of its own.
///
/// A client that spans loops may call back on one while the connection lives on another. A connection that is closed
/// between the end of an upload and the news of it then stops the program, as the client's pool does not expect to hear
/// of a connection that it has dropped. On one loop nothing comes in between. Asking for callbacks and connection on one
/// loop, request by request, would do too, but such connections are not kept for the next request.
final class S3HTTPClients: Sendable {
    /// Each client has idle connections of its own, so that more loops mean more of them.
    private static let maximumCount = 4
    /// Enough that reads which wait for their consumer never keep an upload waiting for a connection.
    private static let maximumConnectionCount = 256

    private let clients: [HTTPClient]
    private let turn = Atomic<Int>(0)

    init(_ group: any EventLoopGroup, connectTimeout: Duration) {
        var pool = HTTPClient.Configuration.ConnectionPool(
            idleTimeout: .seconds(15), concurrentHTTP1ConnectionsPerHostSoftLimit: S3HTTPClients.maximumConnectionCount)
        pool.retryConnectionEstablishment = false
        var configuration = HTTPClient.Configuration(
            redirectConfiguration: .disallow, timeout: .init(connect: TimeAmount(connectTimeout)), connectionPool: pool)
        configuration.httpVersion = .http1Only
        clients = group.makeIterator().prefix(S3HTTPClients.maximumCount)
            .map { HTTPClient(eventLoopGroupProvider: .shared($0), configuration: configuration) }
    }

    /// The client whose turn it is.
    func next() -> HTTPClient {
        clients[
            Int(bitPattern: UInt(bitPattern: turn.wrappingAdd(1, ordering: .relaxed).oldValue) % UInt(clients.count))]
    }

    /// Closes all connections.
    func shutdown() async throws {
        var failure: (any Error)?
        for client in clients {
            do { try await client.shutdown() } catch { failure = error }
        }
        if let failure { throw failure }
    }
}
