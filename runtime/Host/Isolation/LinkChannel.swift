internal import Logging
internal import NIOCore
internal import NIOPosix

/// Who gets what comes over a link. Everything is called on the link's loop.
protocol LinkOwner: AnyObject {
    func received(_ frame: LinkFrame) throws(LinkViolation)
    /// The other end has gone, or has broken the protocol.
    func linkClosed()
}

/// One end of a link: frames in, frames out, which are written once in a turn of the loop. Belongs to its loop.
///
/// What is written before the channel is there goes out as soon as it is.
final class LinkChannel: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Larger than this, the buffer for frames is not kept.
    private static let keptOutboxBytes = 262_144

    weak var owner: (any LinkOwner)?
    private let logger: Logger
    private var parser: LinkParser
    private var outbox = ByteBuffer()
    private var context: ChannelHandlerContext?
    private var isReading = false
    private var isFlushScheduled = false
    private(set) var isClosed = false

    /// Prepares for a link of that loop; both ends read alike.
    static func bootstrap(_ loop: any EventLoop) -> ClientBootstrap {
        ClientBootstrap(group: loop)
            .channelOption(.maxMessagesPerRead, value: 4)
            .channelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(minimum: 2048, initial: 16_384, maximum: 262_144))
    }

    init(maxFrameBytes: Int, logger: Logger) {
        parser = LinkParser(maxFrameBytes: maxFrameBytes)
        self.logger = logger
    }

    /// Writes frames; they go out at the end of this turn.
    func write(_ body: (inout ByteBuffer) -> Void) {
        guard !isClosed else { return }
        body(&outbox)
        guard let context, !isReading, !isFlushScheduled else { return }
        isFlushScheduled = true
        context.eventLoop.assumeIsolated().execute {
            self.isFlushScheduled = false
            self.flush()
        }
    }

    /// Sends what was written. What the other end does not take stays in the channel: it is bounded by the calls and
    /// their windows.
    func flush() {
        guard let context, outbox.readableBytes > 0 else { return }
        context.writeAndFlush(wrapOutboundOut(outbox), promise: nil)
        if outbox.capacity > LinkChannel.keptOutboxBytes { outbox = ByteBuffer() } else { outbox.clear() }
    }

    /// Sends what was written and closes; the owner is told at once.
    func close() {
        guard !isClosed else { return }
        flush()
        end()
        context?.close(promise: nil)
    }

    func channelActive(context: ChannelHandlerContext) {
        guard !isClosed else { return context.close(promise: nil) }
        self.context = context
        flush()
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.context = nil
        end()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isClosed else { return }
        isReading = true
        parser.append(unwrapInboundIn(data))
        do throws(LinkViolation) {
            while !isClosed, let frame = try parser.next() { try owner?.received(frame) }
        } catch {
            logger.error("a link is closed: its other end breaks the protocol", metadata: ["reason": "\(error)"])
            close()
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        flush()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        logger.debug("a link failed", metadata: ["error": "\(error)"])
        context.close(promise: nil)
    }

    private func end() {
        guard !isClosed else { return }
        isClosed = true
        outbox = ByteBuffer()
        owner?.linkClosed()
    }
}
