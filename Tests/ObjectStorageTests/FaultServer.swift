import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// A server on loopback that answers with bytes of the test's choice, on connections that it can cut.
final class FaultServer: Sendable {
    struct Request: Sendable {
        let method: String
        let target: String
        let headers: [(String, String)]
        let body: ByteBuffer
    }

    /// What is written for a request, in order.
    enum Step: Sendable {
        case write(String)
        case writeBytes(ByteBuffer)
        case pause(TimeAmount)
        /// Closes the connection.
        case close
        /// Writes nothing more and keeps the connection open.
        case hang
    }

    private let channel: any Channel
    private let state: Mutex<[Request]>
    private let closedCount: Mutex<Int>

    var port: Int { channel.localAddress?.port ?? 0 }
    /// What has come in so far.
    var requests: [Request] { state.withLock { $0 } }
    /// The number of connections that have ended.
    var closed: Int { closedCount.withLock { $0 } }

    private init(_ channel: any Channel, log: Log) {
        self.channel = channel
        state = Mutex([])
        closedCount = Mutex(0)
        log.server.withLock { $0 = self }
    }

    private final class Log: Sendable {
        let server = Mutex<FaultServer?>(nil)
    }

    /// Starts a server; the closure gives the steps for the n-th request, from 0.
    static func start(_ answer: @escaping @Sendable (Int, Request) -> [Step]) async throws -> FaultServer {
        let log = Log()
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: 64)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(ByteToMessageHandler(HTTPRequestDecoder()))
                    try channel.pipeline.syncOperations.addHandler(Handler(log: log, answer: answer))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return FaultServer(channel, log: log)
    }

    func stop() async throws { try await channel.close() }

    /// Headers and body of an answer.
    static func reply(_ status: String, _ headers: [String] = [], _ body: String = "") -> [Step] {
        [
            .write(
                (["HTTP/1.1 \(status)", "Content-Length: \(body.utf8.count)"] + headers).joined(separator: "\r\n")
                    + "\r\n\r\n\(body)")
        ]
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = ByteBuffer

        let log: Log
        let answer: @Sendable (Int, Request) -> [Step]
        var head: HTTPRequestHead?
        var body = ByteBuffer()

        init(log: Log, answer: @escaping @Sendable (Int, Request) -> [Step]) {
            self.log = log
            self.answer = answer
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head):
                self.head = head
                body.clear()
            case .body(var part): body.writeBuffer(&part)
            case .end:
                guard let head, let server = log.server.withLock({ $0 }) else { return }
                let request = Request(
                    method: head.method.rawValue, target: head.uri, headers: head.headers.map { ($0.name, $0.value) },
                    body: body)
                let number = server.state.withLock { requests in
                    requests.append(request)
                    return requests.count - 1
                }
                run(answer(number, request)[...], on: context.channel)
            }
        }

        private func run(_ steps: ArraySlice<Step>, on channel: any Channel) {
            guard let step = steps.first else { return }
            let rest = steps.dropFirst()
            switch step {
            case .write(let text):
                channel.writeAndFlush(ByteBuffer(string: text), promise: nil)
                run(rest, on: channel)
            case .writeBytes(let bytes):
                channel.writeAndFlush(bytes, promise: nil)
                run(rest, on: channel)
            case .pause(let time):
                let loop = NIOLoopBound(self, eventLoop: channel.eventLoop)
                channel.eventLoop.scheduleTask(in: time) { loop.value.run(rest, on: channel) }
            case .close: channel.close(promise: nil)
            case .hang: return
            }
        }

        func channelInactive(context: ChannelHandlerContext) {
            log.server.withLock { $0 }?.closedCount.withLock { $0 += 1 }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}
