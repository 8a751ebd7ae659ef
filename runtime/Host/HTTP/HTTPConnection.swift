internal import FunctionKit
internal import Logging
internal import NIOCore

/// One client's connection: bytes in, requests one after the other, answers out in the same order.
///
/// A hand-written state machine on the connection's loop. It is the pipeline's only handler, so that an idle connection
/// is this object, NIO's channel and one small receive buffer. The files beside this one hold its parts:
/// `+Requests` takes requests, `+Calls` calls handlers, `+Responses` sends answers, `+Users` lends the connection to event
/// streams and sockets, `+Deadlines` ends what takes too long.
///
/// Requests are worked strictly one at a time. What a client sends meanwhile is kept up to a bound; then nothing more is
/// read, which the kernel passes on to the client as back-pressure.
final class HTTPConnection: TimerEntry, ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    enum Phase {
        /// Between requests.
        case idle
        /// A head is coming.
        case head
        /// A body is coming.
        case body
        /// The answer is being made.
        case running
        /// An event stream or a socket uses it.
        case lent
        /// The last answer is on its way or out; input is discarded.
        case lingering
        case closed
    }

    /// How much is read ahead of the request that is being answered.
    static let readAheadBytes = 65_536
    /// How much may have come in at once when the client closes its side, which NIO reads to the end.
    static let maxInboxBytes = 4 << 20
    /// The largest body that is skipped for the sake of keeping the connection.
    static let discardedBodyBytes = 65_536
    /// How many connections over the limit are told so; more are closed without a word.
    static let refusedAtOnce = 256
    /// How much is discarded after a last answer.
    static let lingerBytes = 16 << 20

    let server: ServerCore
    let loop: LoopState
    var context: ChannelHandlerContext?
    var parser: RequestParser
    /// What has come and not been parsed.
    var inbox = ByteBuffer()
    var phase = Phase.idle
    var exchange: Exchange?
    /// What uses the connection while it is lent.
    var user: (any ConnectionUser)?
    var exchangeCount: UInt64 = 0
    var isProcessing = false
    var isInputClosed = false
    /// What waited for a slow reader when that was looked at last.
    var stalledBytes = 0
    private var isReadHeld = false
    private var lingeredBytes = 0
    private var peer: String?

    init(_ server: ServerCore, _ loop: LoopState) {
        self.server = server
        self.loop = loop
        parser = RequestParser(
            RequestParser.Limits(
                maxRequestLineBytes: loop.options.maxRequestLineBytes, maxHeadBytes: loop.options.maxHeadBytes,
                maxFieldCount: loop.options.maxFieldCount))
    }

    /// The peer's address without port, `unix` for a Unix socket.
    var peerAddress: String {
        if let peer { return peer }
        let address = context?.channel.remoteAddress?.ipAddress ?? "unix"
        peer = address
        return address
    }

    /// What has been handed to the channel and not yet to the kernel.
    var unsentBytes: Int {
        let options = context?.channel.syncOptions
        // Fails only when the channel is closed: then nothing waits.
        return (try? options?.getOption(.bufferedWritableBytes)) ?? 0
    }

    func channelActive(context: ChannelHandlerContext) {
        self.context = context
        let count = server.connectionOpened()
        loop.timers.set(self, to: .now() + TimeAmount(loop.options.idleTimeout))
        if server.isDraining {
            context.close(promise: nil)
        } else if count > loop.options.maxConnectionCount + HTTPConnection.refusedAtOnce {
            context.close(promise: nil)
        } else if count > loop.options.maxConnectionCount {
            if count == loop.options.maxConnectionCount + 1 {
                server.logger.warning("the connection limit is reached", metadata: ["limit": "\(count - 1)"])
            }
            fail(ErrorResponse.unavailable("The server has no room for another connection.", code: "connection_limit"))
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        abandonExchange()
        phase = .closed
        let user = user
        self.user = nil
        user?.connectionClosed()
        loop.timers.remove(self)
        inbox = ByteBuffer()
        self.context = nil
        server.connectionClosed(on: context.eventLoop)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        switch phase {
        case .closed: return
        case .lingering:
            lingeredBytes += bytes.readableBytes
            if lingeredBytes > HTTPConnection.lingerBytes { context.close(promise: nil) }
        case .idle, .head, .body, .running, .lent:
            if inbox.readableBytes == 0 { inbox = bytes } else { inbox.writeBuffer(&bytes) }
            guard inbox.readableBytes <= HTTPConnection.maxInboxBytes else {
                context.close(promise: nil)
                return
            }
            if phase == .lent { offerInput() } else { process() }
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if phase == .lent {
            user?.writabilityChanged(to: context.channel.isWritable)
        } else if context.channel.isWritable {
            process()
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case ChannelEvent.inputClosed = event else { return }
        isInputClosed = true
        switch phase {
        case .idle, .head, .body:
            process()
        case .running:
            // It may be half closed only, and wait for its answer; or gone.
            let limit = NIODeadline.now() + TimeAmount(loop.options.abandonedGrace)
            if limit < deadline { loop.timers.set(self, to: limit) }
        case .lent: user?.inputClosed()
        case .lingering, .closed: break
        }
    }

    override func deadlinePassed(_ now: NIODeadline) {
        endPhase(now)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        server.logger.debug("a connection failed", metadata: ["error": "\(error)", "remote": "\(peerAddress)"])
        context.close(promise: nil)
    }

    func read(context: ChannelHandlerContext) {
        let isEnough =
            switch phase {
            case .running: inbox.readableBytes >= HTTPConnection.readAheadBytes
            case .idle: inbox.readableBytes >= HTTPConnection.readAheadBytes && !context.channel.isWritable
            case .lent: user.map { !$0.wantsInput } ?? false
            case .head, .body, .lingering, .closed: false
            }
        if isEnough { isReadHeld = true } else { context.read() }
    }

    /// Reads on, if reading was put off.
    func releaseRead() {
        guard isReadHeld else { return }
        isReadHeld = false
        context?.read()
    }

    /// Begins the end of the process: without a request the connection closes, with one it closes after the answer.
    func drain() {
        if phase == .lent { user?.drain() }
        guard phase == .idle, inbox.readableBytes == 0, parser.isBetweenRequests else { return }
        if unsentBytes == 0 {
            context?.close(promise: nil)
        } else {
            endOutput()
        }
    }

    /// Ends the connection at once. What is cut is logged.
    func cut() {
        if let exchange = exchange ?? user?.exchange {
            server.logger.warning(
                "a request was cut at shutdown",
                metadata: [
                    "function": "\(exchange.functionName ?? "-")", "path": "\(exchange.head.path)",
                    "request_id": "\(exchange.requestID)",
                    "age_ms": "\((NIODeadline.now() - exchange.startedAt).nanoseconds / 1_000_000)",
                ])
        }
        context?.close(promise: nil)
    }
}
