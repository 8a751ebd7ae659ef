import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

/// Opens sockets to the server, with TLS where configured.
final class RedisTransport: Sendable {
    let configuration: RedisConfiguration
    /// Read once, from files and so off the event loops, when the first connection is made.
    private let sslContext = Mutex<EventLoopFuture<NIOSSLContext>?>(nil)

    init(_ configuration: RedisConfiguration) { self.configuration = configuration }

    /// Connects; the future succeeds when the channel is open and its handlers are in place.
    ///
    /// - Parameters:
    ///   - eventLoop: The loop of the channel.
    ///   - makeHandler: Makes the last handler, on the loop.
    /// - Returns: The end of the attempt.
    func connect(
        on eventLoop: any EventLoop, makeHandler: @escaping @Sendable () throws -> RedisChannelHandler
    ) -> EventLoopFuture<Void> {
        guard configuration.tls != nil else { return connect(on: eventLoop, sslContext: nil, makeHandler: makeHandler) }
        return loadSSLContext(on: eventLoop).hop(to: eventLoop).flatMap { context in
            self.connect(on: eventLoop, sslContext: context, makeHandler: makeHandler)
        }
    }

    private func connect(
        on eventLoop: any EventLoop, sslContext: NIOSSLContext?,
        makeHandler: @escaping @Sendable () throws -> RedisChannelHandler
    ) -> EventLoopFuture<Void> {
        let endpoint = configuration.endpoint
        let bootstrap = ClientBootstrap(group: eventLoop)
            .connectTimeout(TimeAmount(configuration.connectTimeout))
            .channelOption(.writeBufferWaterMark, value: .init(low: 128 << 10, high: 512 << 10))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let sslContext {
                        try pipeline.addHandler(Self.makeTLSHandler(sslContext, endpoint))
                    }
                    try pipeline.addHandler(makeHandler())
                }
            }
        return switch endpoint {
        case .tcp(let host, let port):
            bootstrap.channelOption(.socketOption(.so_keepalive), value: 1).connect(host: host, port: port).map { _ in }
        case .unix(let path): bootstrap.connect(unixDomainSocketPath: path).map { _ in }
        }
    }

    private static func makeTLSHandler(
        _ context: NIOSSLContext, _ endpoint: RedisConfiguration.Endpoint
    ) throws -> NIOSSLClientHandler {
        guard case .tcp(let host, _) = endpoint, (try? SocketAddress(ipAddress: host, port: 0)) == nil else {
            // A certificate for an address is checked against the address that was connected to.
            return try NIOSSLClientHandler(context: context, serverHostname: nil)
        }
        return try NIOSSLClientHandler(context: context, serverHostname: host)
    }

    private func loadSSLContext(on eventLoop: any EventLoop) -> EventLoopFuture<NIOSSLContext> {
        sslContext.withLock { stored in
            if let stored { return stored }
            var options = TLSConfiguration.makeClientConfiguration()
            options.minimumTLSVersion = .tlsv12
            if let file = configuration.tls?.trustRootsFile { options.trustRoots = .file(file) }
            if configuration.tls?.verifiesCertificate == false { options.certificateVerification = .none }
            let final = options
            let loading = NIOThreadPool.singleton.runIfActive(eventLoop: eventLoop) {
                try NIOSSLContext(configuration: final)
            }
            stored = loading
            // A file that cannot be read now may be there for the next attempt.
            loading.whenFailure { _ in self.sslContext.withLock { $0 = nil } }
            return loading
        }
    }
}
