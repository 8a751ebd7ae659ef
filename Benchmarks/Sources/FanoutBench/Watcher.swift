import NIOCore

/// One watcher: sends its request, then reads frames or events and nothing else.
final class Watcher: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    enum Transport: String {
        case websocket = "ws"
        case sse
    }

    private static let headEnd = Array("\r\n\r\n".utf8)
    private static let eventEnd = Array("\n\n".utf8)
    private static let data = Array("data:".utf8)

    private let number: Int
    private let job: Substring
    private let transport: Transport
    private let tally: Tally
    /// What came of a frame or an event whose end did not.
    private var rest: ByteBuffer?
    private var isPastHead = false
    private var isReady = false

    init(_ number: Int, job: Substring, transport: Transport, tally: Tally) {
        self.number = number
        self.job = job
        self.transport = transport
        self.tally = tally
    }

    func channelActive(context: ChannelHandlerContext) {
        let request =
            switch transport {
            case .sse: "GET /v1/download/stream/\(job) HTTP/1.1\r\nhost: bench\r\naccept: text/event-stream\r\n\r\n"
            case .websocket:
                "GET /v1/download/subscribe/\(job) HTTP/1.1\r\nhost: bench\r\nconnection: Upgrade\r\n"
                    + "upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            }
        context.writeAndFlush(Self.wrapOutboundOut(context.channel.allocator.buffer(string: request)), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = Self.unwrapInboundIn(data)
        let now = microseconds()
        if var rest {
            rest.writeBuffer(&buffer)
            buffer = rest
            self.rest = nil
        }
        if !isPastHead, !readHead(&buffer, context) {
            rest = buffer
            return
        }
        switch transport {
        case .sse: readEvents(&buffer, now)
        case .websocket: readFrames(&buffer, now, context)
        }
        rest = buffer.readableBytes > 0 ? buffer : nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        tally.lost(number, "the host closed the connection")
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        tally.lost(number, "\(error)")
        context.close(promise: nil)
    }

    private func readHead(_ buffer: inout ByteBuffer, _ context: ChannelHandlerContext) -> Bool {
        guard let end = buffer.withUnsafeReadableBytes({ Message.find(Self.headEnd, in: $0) }) else { return false }
        let head = buffer.readString(length: end + Self.headEnd.count) ?? ""
        let expected = transport == .sse ? "HTTP/1.1 200" : "HTTP/1.1 101"
        guard head.hasPrefix(expected) else {
            tally.problem = tally.problem ?? "the answer is \(head.prefix(40))"
            context.close(promise: nil)
            return false
        }
        isPastHead = true
        return true
    }

    /// Events end in an empty line. Lines of the chunked coding, which stand between them, match nothing that is looked for.
    private func readEvents(_ buffer: inout ByteBuffer, _ now: Int64) {
        while let end = buffer.withUnsafeReadableBytes({ Message.find(Self.eventEnd, in: $0) }) {
            buffer.withUnsafeReadableBytes { bytes in
                let event = UnsafeRawBufferPointer(rebasing: bytes[..<end])
                // A comment or a `retry` is no message.
                if Message.find(Self.data, in: event) != nil { take(event, now) }
            }
            buffer.moveReaderIndex(forwardBy: end + Self.eventEnd.count)
        }
    }

    private func readFrames(_ buffer: inout ByteBuffer, _ now: Int64, _ context: ChannelHandlerContext) {
        while true {
            let start = buffer.readerIndex
            guard let first = buffer.getInteger(at: start, as: UInt8.self),
                let second = buffer.getInteger(at: start + 1, as: UInt8.self)
            else { return }
            var headSize = 2
            var size = Int(second)
            if second == 126 {
                guard let long = buffer.getInteger(at: start + 2, as: UInt16.self) else { return }
                (headSize, size) = (4, Int(long))
            } else if second == 127 {
                guard let long = buffer.getInteger(at: start + 2, as: UInt64.self) else { return }
                (headSize, size) = (10, Int(clamping: long))
            }
            guard buffer.readableBytes - headSize >= size else { return }
            buffer.moveReaderIndex(forwardBy: headSize)
            guard var payload = buffer.readSlice(length: size) else { return }
            switch first & 15 {
            case 1: payload.withUnsafeReadableBytes { take($0, now) }
            case 9:
                // A mask of zeros leaves the payload as it is.
                var pong = context.channel.allocator.buffer(capacity: 6 + size)
                pong.writeBytes([0x8A, 0x80 | UInt8(size), 0, 0, 0, 0])
                pong.writeBuffer(&payload)
                context.writeAndFlush(Self.wrapOutboundOut(pong), promise: nil)
            case 8:
                tally.problem = tally.problem ?? "a socket was closed with \(payload.readInteger(as: UInt16.self) ?? 0)"
            default: tally.problem = tally.problem ?? "a frame of opcode \(first & 15)"
            }
        }
    }

    private func take(_ bytes: UnsafeRawBufferPointer, _ now: Int64) {
        if let (seq, sent) = Message.read(bytes) { tally.received(number, seq: seq, latency: now - sent) }
        guard !isReady else { return }
        isReady = true
        tally.isReady()
    }
}
