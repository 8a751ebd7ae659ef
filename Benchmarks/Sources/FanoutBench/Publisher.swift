import NIOCore
import NIOPosix

/// Publishes to the jobs in turn, evenly spread, by PUBLISH on one connection of its own.
///
/// What is due is written once a millisecond; what a late turn missed is made up for, stamped with the time at which it
/// is really sent.
final class Publisher: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Numbers begin behind those of the jobs' records.
    static let firstSeq: Int64 = 1 << 32 + 100_000

    private let channels: [String]
    private let perSecond: Int
    private let total: Int
    private let finished: EventLoopPromise<Double>
    private var sentCount = 0
    private var answerCount = 0
    private var start: Int64 = 0
    private var turns: RepeatedTask?

    init(jobs: [Substring], perSecond: Int, total: Int, finished: EventLoopPromise<Double>) {
        channels = jobs.map { "job:\($0)" }
        self.perSecond = perSecond
        self.total = total
        self.finished = finished
    }

    /// The number of a job's last message.
    static func lastSeq(job: Int, jobCount: Int, total: Int) -> Int64 {
        let count = total / jobCount + (job < total % jobCount ? 1 : 0)
        return count == 0 ? 0 : firstSeq + Int64(count) - 1
    }

    func channelActive(context: ChannelHandlerContext) {
        start = microseconds()
        let context = NIOLoopBound(context, eventLoop: context.eventLoop)
        let publisher = NIOLoopBound(self, eventLoop: context.value.eventLoop)
        turns = context.value.eventLoop.scheduleRepeatedTask(initialDelay: .zero, delay: .milliseconds(1)) { _ in
            publisher.value.publish(context.value)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // Each answer is `:<subscribers>` and a line end.
        answerCount += Self.unwrapInboundIn(data).readableBytesView.count { $0 == UInt8(ascii: ":") }
        if answerCount == total { finish(context) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        turns?.cancel()
        finished.fail(ChannelError.eof)
    }

    private func publish(_ context: ChannelHandlerContext) {
        let now = microseconds()
        let due = min(total, Int((now - start) * Int64(perSecond) / 1_000_000))
        guard due > sentCount else { return }
        var buffer = context.channel.allocator.buffer(capacity: (due - sentCount) * 512)
        var message = context.channel.allocator.buffer(capacity: 512)
        for number in sentCount..<due {
            let channel = channels[number % channels.count]
            message.clear()
            Message.write(
                seq: Self.firstSeq + Int64(number / channels.count), sentMicroseconds: microseconds(), to: &message)
            buffer.writeString(
                "*3\r\n$7\r\nPUBLISH\r\n$\(channel.utf8.count)\r\n\(channel)\r\n$\(message.readableBytes)\r\n")
            buffer.writeBuffer(&message)
            buffer.writeString("\r\n")
        }
        sentCount = due
        context.writeAndFlush(Self.wrapOutboundOut(buffer), promise: nil)
        if sentCount == total { turns?.cancel() }
    }

    private func finish(_ context: ChannelHandlerContext) {
        finished.succeed(Double(microseconds() - start) / 1e6)
        context.close(promise: nil)
    }
}
