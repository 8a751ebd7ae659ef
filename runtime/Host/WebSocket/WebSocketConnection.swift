internal import FunctionKit
internal import NIOCore

/// A session as its handler holds it: on the connection's loop a call is a call, from elsewhere it is a hop.
final class WebSocketConnection: WebSocketUpgrade.Connection, WebSocket.Connection {
    private let session: NIOLoopBound<WebSocketSession>

    init(_ session: NIOLoopBound<WebSocketSession>) {
        self.session = session
    }

    func accept(protocol chosen: String?) async throws -> WebSocket {
        try await call { try $0.accept(chosen) }
        return WebSocket(self)
    }

    func receive() async throws -> WebSocketMessage? {
        let isOnLoop = session.eventLoop.inEventLoop
        if isOnLoop {
            switch session.value.receiveAtOnce() {
            case .message(let message): return message
            case .ended: return nil
            case .nothing: break
            }
        }
        let session = session
        let receipt = WebSocketSession.Receipt()
        if isOnLoop {
            session.value.enqueue(receipt)
        } else {
            session.eventLoop.execute { session.value.enqueue(receipt) }
        }
        let result = await withTaskCancellationHandler {
            await receipt.value()
        } onCancel: {
            // The socket's own end cancels the task too, and then says so by `nil`.
            session.eventLoop.execute {
                if receipt.set(.failure(CancellationError())) { session.value.dropCancelledReader() }
            }
        }
        return try result.get()
    }

    func send(_ messages: [WebSocketMessage]) async throws {
        try await session.send(messages)
    }

    func close(_ code: WebSocketCloseCode, reason: String) async {
        // It throws nothing, and a loop that is shut down has no sockets left.
        try? await call { $0.close(code, reason: reason) }
    }

    private func call(_ body: @escaping @Sendable (WebSocketSession) throws -> Void) async throws {
        if session.eventLoop.inEventLoop {
            try body(session.value)
        } else {
            let session = session
            try await session.eventLoop.submit { try body(session.value) }.get()
        }
    }
}
