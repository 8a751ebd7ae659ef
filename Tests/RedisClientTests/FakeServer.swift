import NIOCore
import NIOPosix
import Synchronization
import Testing

/// A server on loopback that does what a test tells it to.
final class FakeServer: Sendable {
    /// What came on which connection, counted from 0.
    struct Received: Sendable {
        let connection: Int
        let bytes: String
        let channel: any Channel

        func answer(_ text: String) { channel.writeAndFlush(ByteBuffer(string: text), promise: nil) }
        func close() { channel.close(promise: nil) }
    }

    private struct State {
        var connectionCount = 0
        var received: [String] = []
    }

    let port: Int
    private let channel: any Channel
    private let state: StateBox

    private final class StateBox: Sendable {
        let value = Mutex(State())
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        let connection: Int
        let box: StateBox
        let onRead: @Sendable (Received) -> Void
        var answersPing: Bool

        init(
            _ connection: Int, _ box: StateBox, answersPing: Bool, _ onRead: @escaping @Sendable (Received) -> Void
        ) {
            self.answersPing = answersPing
            self.connection = connection
            self.box = box
            self.onRead = onRead
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let text = String(buffer: unwrapInboundIn(data))
            box.value.withLock { $0.received.append(text) }
            let received = Received(connection: connection, bytes: text, channel: context.channel)
            guard answersPing, text == FakeServer.ping else { return onRead(received) }
            answersPing = false
            received.answer("+PONG\r\n")
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }

    var url: String { "redis://127.0.0.1:\(port)" }
    var connectionCount: Int { state.value.withLock { $0.connectionCount } }
    /// All reads of all connections, in order.
    var received: [String] { state.value.withLock { $0.received } }

    private init(_ channel: any Channel, _ state: StateBox, port: Int) {
        self.channel = channel
        self.state = state
        self.port = port
    }

    static let ping = "*1\r\n$4\r\nPING\r\n"

    /// Runs a server that answers the first PING of a connection itself, unless told not to.
    static func with<R>(
        answersPing: Bool = true, onRead: @escaping @Sendable (Received) -> Void,
        _ body: (FakeServer) async throws -> R
    ) async throws -> R {
        let state = StateBox()
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                let number = state.value.withLock { state in
                    defer { state.connectionCount += 1 }
                    return state.connectionCount
                }
                return channel.eventLoop.makeCompletedFuture {
                    let handler = Handler(number, state, answersPing: answersPing, onRead)
                    try channel.pipeline.syncOperations.addHandler(handler)
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let server = FakeServer(channel, state, port: try #require(channel.localAddress?.port))
        do {
            let result = try await body(server)
            try await channel.close()
            return result
        } catch {
            try? await channel.close()
            throw error
        }
    }
}
