internal import FunctionKit
internal import NIOCore

/// A socket, from its request to its end. Belongs to its connection's loop.
final class WebSocketSession: ConnectionUser {
    let exchange: Exchange
    private let connection: HTTPConnection

    init(
        _ connection: HTTPConnection, _ exchange: Exchange, _ offer: WebSocketHandshake.Offer,
        _ manifest: FunctionManifest
    ) {
        self.connection = connection
        self.exchange = exchange
    }

    var wantsInput: Bool { true }
    func received(_ bytes: inout ByteBuffer) {}
    func writabilityChanged(to isWritable: Bool) {}
    func inputClosed() {}
    func deadlinePassed(_ now: NIODeadline) {}
    func drain() {}
    func connectionClosed() {}

    func handlerEnded(_ result: Result<Void, any Error>) {
        connection.finish(result.map { Response(.noContent) }, exchange.number)
    }
}

/// A session as handlers hold it.
final class WebSocketConnection: WebSocketUpgrade.Connection {
    private let session: NIOLoopBound<WebSocketSession>

    init(_ session: NIOLoopBound<WebSocketSession>) {
        self.session = session
    }

    func accept(protocol: String?) async throws -> WebSocket {
        throw CancellationError()
    }
}
