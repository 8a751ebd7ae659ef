internal import FunctionKit
internal import NIOCore
internal import NIOHTTP1
internal import NIOSSL

/// One request and its answer on a connection of its own.
///
/// The answer stands with its head. What follows is read, up to a bound, so that the receiver need not see its connection
/// break; then the connection is closed.
final class WebhookExchange: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    /// So much of a body is read.
    static let bodyLimitBytes = 64 << 10

    private let head: HTTPRequestHead
    private let body: ByteBuffer
    private let deadline: NIODeadline
    private let promise: EventLoopPromise<WebhookAnswer>
    private var limit: Scheduled<Void>?
    private var answer: WebhookAnswer?
    private var bodyBytes = 0
    private var isOver = false

    /// The promise gets the answer; its errors are ``FunctionKit/WebhookFailure``s.
    init(_ head: HTTPRequestHead, _ body: ByteBuffer, deadline: NIODeadline, promise: EventLoopPromise<WebhookAnswer>) {
        self.head = head
        self.body = body
        self.deadline = deadline
        self.promise = promise
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let channel = context.channel
        limit = context.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) {
            self.end(WebhookFailure(.timeout, "no answer in time"))
            channel.close(promise: nil)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) { end(WebhookFailure(.broken, "the connection ended")) }

    func channelActive(context: ChannelHandlerContext) {
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            let wait = head.headers.first(name: "retry-after").flatMap { RetryAfterField.duration($0, at: .now) }
            answer = WebhookAnswer(status: Int(head.status.code), retryAfter: wait)
        case .body(let bytes):
            bodyBytes += bytes.readableBytes
            if bodyBytes > WebhookExchange.bodyLimitBytes { close(context) }
        case .end: close(context)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        end(WebhookFailure(.broken, "the connection ended"))
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        let isTLS = error is NIOSSLError || error is BoringSSLError || error is NIOSSLExtraError
        end(WebhookFailure(isTLS ? .untrusted : .broken, "\(error)"))
        context.close(promise: nil)
    }

    private func close(_ context: ChannelHandlerContext) {
        end(WebhookFailure(.broken, "an answer without a head"))
        context.close(promise: nil)
    }

    /// Completes the promise once: with the answer when its head has come.
    private func end(_ failure: WebhookFailure) {
        guard !isOver else { return }
        isOver = true
        limit?.cancel()
        limit = nil
        if let answer { promise.succeed(answer) } else { promise.fail(failure) }
    }
}
