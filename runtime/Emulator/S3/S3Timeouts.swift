internal import NIOCore
internal import NIOHTTP1

/// Closes a connection whose client stalls: between requests, within a request, or in taking the answer.
///
/// The time that the endpoint itself takes does not count.
final class S3Timeouts: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    private let limit: TimeAmount
    private var isReceiving = true
    private var lastSign = NIODeadline.now()
    private var check: RepeatedTask?

    init(limit: TimeAmount) { self.limit = limit }

    func handlerAdded(context: ChannelHandlerContext) {
        lastSign = .now()
        let interval = TimeAmount.nanoseconds(limit.nanoseconds / 4)
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        check = context.eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in
            let (handler, context) = bound.value
            handler.closeIfStalled(context)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        check?.cancel()
        check = nil
    }

    private func closeIfStalled(_ context: ChannelHandlerContext) {
        guard isReceiving || !context.channel.isWritable else {
            lastSign = .now()
            return
        }
        if NIODeadline.now() - lastSign > limit { context.close(promise: nil) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        lastSign = .now()
        if case .end = unwrapInboundIn(data) { isReceiving = false }
        context.fireChannelRead(data)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        lastSign = .now()
        context.fireChannelWritabilityChanged()
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        lastSign = .now()
        if case .end = unwrapOutboundIn(data) { isReceiving = true }
        context.write(data, promise: promise)
    }
}
