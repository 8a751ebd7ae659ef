import NIOCore

/// The end of the pipeline: parses what comes in and reports to the link that owns the channel.
final class RedisChannelHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let parser: ReplyParser
    /// Gone once the link has given this channel up; then nothing is parsed or reported any more.
    private var link: RedisLink?
    private var context: ChannelHandlerContext?
    private var failure: RedisError?
    /// The channel's socket while it is open; only to be looked at.
    private(set) var socket: CInt?

    init(link: RedisLink, maximumReplyBytes: Int) throws(RedisError) {
        parser = try ReplyParser(maximumReplyBytes: maximumReplyBytes)
        self.link = link
    }

    /// Whether the socket keeps up with what is written.
    var isWritable: Bool { context?.channel.isWritable ?? false }

    /// Writes at once.
    func write(_ buffer: ByteBuffer) {
        guard let context else { return }
        context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
    }

    /// Gives the channel up and closes it.
    func detach() -> EventLoopFuture<Void>? {
        link = nil
        guard let context else { return nil }
        context.close(promise: nil)
        return context.channel.closeFuture
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelActive(context: ChannelHandlerContext) {
        guard let link else { return context.close(promise: nil) }
        socket = try? context.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: CInt.self) { $0 }
        link.channelOpened(self)
    }

    func channelInactive(context: ChannelHandlerContext) {
        let link = self.link
        self.link = nil
        socket = nil
        link?.channelClosed(self, failure ?? RedisError(.connection, "the server closed the connection"))
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard link != nil, failure == nil else { return }
        do throws(RedisError) {
            try parser.feed(unwrapInboundIn(data))
            // Looked at again for every reply, as one may make the link give this channel up.
            while let link, let reply = try parser.next() { link.received(reply) }
        } catch {
            failure = error
            context.close(promise: nil)
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { link?.channelIsWritable() }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        failure = failure ?? RedisError(.connection, "the connection failed", cause: error)
        context.close(promise: nil)
    }
}
