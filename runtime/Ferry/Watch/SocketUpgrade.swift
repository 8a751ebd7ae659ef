import FunctionKit
import Host
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import NIOWebSocket

/// Opens a socket at a host: connection, TLS where the address asks for it, and the upgrade.
struct SocketUpgrade {
    typealias Channel = NIOAsyncChannel<WebSocketFrame, WebSocketFrame>

    /// What came of it.
    enum Outcome {
        case socket(Channel)
        case end(WatchCourse.End)
    }

    private enum Answer: Sendable {
        case socket(Channel)
        case refused(EventLoopFuture<Int>)
    }

    static let connectTimeout = TimeAmount.seconds(5)
    /// How long the upgrade may take.
    static let upgradeTimeout = TimeAmount.seconds(5)
    /// How long the host may send nothing at all; it pings every 30 s.
    static let silenceTimeout = TimeAmount.seconds(45)
    static let maximumMessageBytes = 4 << 20

    let address: HostAddress
    /// Who calls.
    let token: Secret?
    let tls: NIOSSLContext?
    let group: any EventLoopGroup

    /// Connects and upgrades.
    ///
    /// - Parameter path: Path and query of the request.
    /// - Returns: The socket, whose channel must be used and closed, or why there is none.
    /// - Throws: `CancellationError`.
    func open(_ path: String) async throws -> Outcome {
        let holder = ChannelHolder()
        let (address, token, tls) = (address, token, tls)
        let outcome: Outcome = await withTaskCancellationHandler {
            let upgrade: EventLoopFuture<Answer>
            let start: NIODeadline
            do {
                let bootstrap = ClientBootstrap(group: group).connectTimeout(Self.connectTimeout)
                    .channelOption(.socketOption(.tcp_nodelay), value: 1)
                upgrade = try await bootstrap.connect(host: address.host, port: address.port) { channel in
                    holder.hold(channel)
                    return channel.eventLoop.makeCompletedFuture {
                        try Self.configure(channel, address, token, tls, path)
                    }
                }
                start = .now()
            } catch {
                return .end(WatchCourse.End(error))
            }
            // Closing the channel fails the upgrade, if it is not done by then; TLS is part of it.
            let limit = upgrade.eventLoop.scheduleTask(in: Self.upgradeTimeout) { holder.release() }
            defer { limit.cancel() }
            do {
                switch try await upgrade.get() {
                case .socket(let channel): return .socket(channel)
                case .refused(let status):
                    let code = try await status.get()
                    holder.release()
                    return .end(code == 404 ? .notFound : .refused(status: code, message: nil, retryAfter: nil))
                }
            } catch {
                holder.release()
                guard NIODeadline.now() - start < Self.upgradeTimeout else { return .end(.upgradeHung) }
                return .end(WatchCourse.End(error))
            }
        } onCancel: {
            holder.release()
        }
        if Task.isCancelled, case .end = outcome { throw CancellationError() }
        return outcome
    }

    private static func configure(
        _ channel: any NIOCore.Channel, _ address: HostAddress, _ token: Secret?, _ tls: NIOSSLContext?, _ path: String
    ) throws -> EventLoopFuture<Answer> {
        let pipeline = channel.pipeline.syncOperations
        if let tls {
            // A name for the certificate; an address is compared with the connection's own.
            let isName = (try? SocketAddress(ipAddress: address.host, port: 0)) == nil
            try pipeline.addHandler(
                NIOSSLClientHandler(context: tls, serverHostname: isName ? address.host : nil))
        }
        try pipeline.addHandler(IdleStateHandler(readTimeout: Self.silenceTimeout))
        try pipeline.addHandler(SilenceHandler())
        let upgrader = NIOTypedWebSocketClientUpgrader<Answer>(maxFrameSize: maximumMessageBytes) { channel, _ in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(
                    NIOWebSocketFrameAggregator(
                        minNonFinalFragmentSize: 0, maxAccumulatedFrameCount: 4096,
                        maxAccumulatedFrameSize: maximumMessageBytes))
                return .socket(try Channel(wrappingChannelSynchronously: channel))
            }
        }
        var head = HTTPRequestHead(version: .http1_1, method: .GET, uri: address.prefix + path)
        head.headers.add(name: "host", value: address.authority)
        head.headers.authorize(token)
        let configuration = NIOTypedHTTPClientUpgradeConfiguration<Answer>(
            upgradeRequestHead: head, upgraders: [upgrader]
        ) { channel in
            channel.eventLoop.makeCompletedFuture {
                let status = channel.eventLoop.makePromise(of: Int.self)
                try channel.pipeline.syncOperations.addHandler(RefusalHandler(status))
                return .refused(status.futureResult)
            }
        }
        var pipelineConfiguration = NIOUpgradableHTTPClientPipelineConfiguration(upgradeConfiguration: configuration)
        // The host's first message may come with its answer.
        pipelineConfiguration.leftOverBytesStrategy = .forwardBytes
        return try pipeline.configureUpgradableHTTPClientPipeline(configuration: pipelineConfiguration)
    }
}

/// Closes a connection on which nothing has come for too long.
private final class SilenceHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case IdleStateHandler.IdleStateEvent.read = event {
            context.close(promise: nil)
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }
}

/// Reads the status of an answer that is no upgrade.
private final class RefusalHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart

    private let status: EventLoopPromise<Int>

    init(_ status: EventLoopPromise<Int>) { self.status = status }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if case .head(let head) = Self.unwrapInboundIn(data) { status.succeed(Int(head.status.code)) }
    }

    func handlerRemoved(context: ChannelHandlerContext) { status.fail(ChannelError.eof) }
}
