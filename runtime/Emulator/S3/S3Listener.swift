internal import Logging
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix

/// A bound socket of the endpoint and its connections.
///
/// Connections are handed over as plain channels that do not read yet. Rejected: a server channel that yields async
/// channels, since one that is dropped before it is served stops the program, and since an error while one connection is
/// set up ends the whole sequence.
struct S3Listener {
    private let server: any Channel
    /// As many at most as the limit of connections lets in.
    private let accepted: AsyncStream<any Channel>
    private let connections: S3Connections

    var port: Int { server.localAddress?.port ?? 0 }

    /// Binds a socket. A client that stalls for longer than the limit loses its connection.
    static func bind(
        host: String, port: Int, group: any EventLoopGroup, connections: S3Connections,
        stallLimit: TimeAmount = .seconds(60)
    ) async throws -> S3Listener {
        let (accepted, delivery) = AsyncStream.makeStream(of: (any Channel).self)
        let server = try await ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 256)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.autoRead, value: false)
            .childChannelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(minimum: 2048, initial: 16_384, maximum: 262_144)
            )
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    // A presigned URL with a key of 1024 bytes, all escaped, and a session token fits in 16 KiB.
                    var limits = NIOHTTPDecoderLimitConfiguration()
                    limits.maxHeaderFieldSize = 16 << 10
                    limits.maxHeaderListSize = 32 << 10
                    limits.maxHeaderFieldCount = 128
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.configureHTTPServerPipeline(
                        withEncoderConfiguration: .init(), withDecoderLimitConfiguration: limits)
                    try pipeline.addHandler(S3Timeouts(limit: stallLimit))
                    try pipeline.addHandler(Admission(connections: connections, delivery: delivery))
                }
            }
            .bind(host: host, port: port).get()
        server.closeFuture.whenComplete { _ in delivery.finish() }
        return S3Listener(server: server, accepted: accepted, connections: connections)
    }

    /// Stops listening; connections stay.
    func close() { server.close(promise: nil) }

    /// Serves until the listening socket is closed, which `onClosed` is told, and its last connection has ended.
    func serve(_ connection: S3Connection, onClosed: @Sendable () -> Void) async {
        await withTaskCancellationHandler {
            await withDiscardingTaskGroup { group in
                for await channel in accepted { group.addTask { await connection.serve(channel) } }
                onClosed()
            }
        } onCancel: {
            close()
            connections.closeAll()
        }
    }
}

/// Lets a connection in while there is room, and counts it until it closes.
private final class Admission: ChannelInboundHandler, Sendable {
    typealias InboundIn = HTTPServerRequestPart

    private let connections: S3Connections
    private let delivery: AsyncStream<any Channel>.Continuation

    init(connections: S3Connections, delivery: AsyncStream<any Channel>.Continuation) {
        self.connections = connections
        self.delivery = delivery
    }

    func channelActive(context: ChannelHandlerContext) {
        if connections.add(context.channel) {
            delivery.yield(context.channel)
        } else {
            context.close(promise: nil)
        }
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        connections.remove(context.channel)
        context.fireChannelInactive()
    }
}
