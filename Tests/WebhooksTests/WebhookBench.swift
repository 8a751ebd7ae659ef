import FunctionKit
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Synchronization

@testable import Webhooks

/// A receiver on loopback, and posters that may call it.
struct WebhookBench: Sendable {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let posters = Posters()

    private final class Posters: Sendable {
        let all = Mutex<[WebhookPoster]>([])
    }

    func poster(
        allow: [String] = [], allowsHTTP: Bool = false, timeout: Duration = .seconds(10),
        tls: TLSConfiguration = .makeClientConfiguration()
    ) throws -> WebhookPoster {
        var options = WebhookPoster.Options()
        options.rules = AddressRules(allowed: allow.compactMap(AddressNetwork.init))
        options.allowsHTTP = allowsHTTP
        options.timeout = timeout
        let poster = try WebhookPoster(
            secret: Array("0123456789abcdef0123456789abcdef".utf8), options: options, tls: tls, group: group)
        posters.all.withLock { $0.append(poster) }
        return poster
    }

    /// Answers each connection with bytes as they are; what it gets is noted. An empty answer leaves the client waiting.
    func receiver(_ answer: String, closes: Bool = false, tls: NIOSSLContext? = nil) async throws -> Receiver {
        let seen = Seen()
        let channel = try await ServerBootstrap(group: group)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls { try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls)) }
                    try channel.pipeline.syncOperations.addHandler(Replier(answer, closes: closes, seen: seen))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return Receiver(port: channel.localAddress?.port ?? 0, seen: seen)
    }

    static func with<R>(_ body: (WebhookBench) async throws -> R) async throws -> R {
        let bench = WebhookBench()
        let result: Result<R, any Error>
        do { result = .success(try await body(bench)) } catch { result = .failure(error) }
        for poster in bench.posters.all.withLock({ $0 }) { try await poster.shutdown() }
        try await bench.group.shutdownGracefully()
        return try result.get()
    }

    struct Receiver: Sendable {
        let port: Int
        let seen: Seen
    }

    final class Seen: Sendable {
        let requests = Mutex<[String]>([])
        let connections = Mutex(0)
    }

    private final class Replier: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let answer: String
        private let closes: Bool
        private let seen: Seen
        private var text = ""

        init(_ answer: String, closes: Bool, seen: Seen) {
            self.answer = answer
            self.closes = closes
            self.seen = seen
        }

        func channelActive(context: ChannelHandlerContext) { seen.connections.withLock { $0 += 1 } }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            text += String(buffer: unwrapInboundIn(data))
            // Bodies of these tests end in a brace.
            guard text.hasSuffix("}") else { return }
            seen.requests.withLock { $0.append(text) }
            if !answer.isEmpty { context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: answer)), promise: nil) }
            if closes { context.close(promise: nil) }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}
