internal import DequeModule
internal import FunctionKit
internal import Logging
internal import NIOCore

/// An event stream, from its request to the end of its handler. Belongs to its connection's loop.
///
/// An idle stream is this object and its connection; it has no timer and no buffer of its own. One deadline of the
/// connection serves for the heartbeat, the stream's longest life, a client that takes nothing and one that has half
/// closed: it is looked at when the earliest is due, and only moved later by what is sent.
final class StreamSession: SendingUser {
    private enum State {
        /// Nothing was sent.
        case unopened
        case open
        case ended
    }

    private enum End {
        /// With the last chunk.
        case inOrder
        /// The client sees that something is missing.
        case cut
        /// The connection is gone already.
        case lost
    }

    /// How much of the client's next requests is read while the stream is open.
    private static let readAheadBytes = 2048
    /// How much may come at once when the client closes its side, which NIO reads to the end.
    private static let maxInboxBytes = 131_072
    /// A handler that heeds its cancellation has ended by then.
    private static let lateAfter = TimeAmount.seconds(1)

    let exchange: Exchange
    let connection: HTTPConnection
    private var state = State.unopened
    private var isChunked = false
    private var keepsConnection = false
    var waiters: Deque<SendWaiter<ServerSentEvent>> = []
    /// What was written after the head.
    private(set) var writtenBytes = 0
    private var writtenAt = NIODeadline.uptimeNanoseconds(0)
    /// When the stream ends whatever its handler does.
    private var endsAt = NIODeadline.distantFuture
    /// When a client that has closed its side counts as gone.
    private var goneAt = NIODeadline.distantFuture
    var stallsAt = NIODeadline.distantFuture
    var takenBytes = 0
    private var endedAt = NIODeadline.distantFuture

    init(_ connection: HTTPConnection, _ exchange: Exchange) {
        self.connection = connection
        self.exchange = exchange
    }

    private var options: HTTPServerOptions { connection.loop.options }

    // MARK: - What the handler does

    var isOpen: Bool { state == .open }

    func prepareToSend() throws(CancellationError) {
        if state == .unopened { try open() }
    }

    func handlerEnded(_ result: Result<Void, any Error>) {
        switch (state, result) {
        case (.unopened, _):
            state = .ended
            connection.finish(result.map { Response(.noContent) }, exchange.number)
        case (.open, .success):
            end(.inOrder)
        case (.open, .failure(let error)):
            connection.server.logger.error(
                "an event stream failed",
                metadata: [
                    "function": "\(exchange.functionName ?? "-")", "request_id": "\(exchange.requestID)",
                    "error": "\(error)",
                ])
            end(.cut)
        case (.ended, _):
            guard NIODeadline.now() > endedAt + StreamSession.lateAfter else { return }
            connection.server.logger.notice(
                "a handler went on after its event stream had ended",
                metadata: [
                    "function": "\(exchange.functionName ?? "-")", "request_id": "\(exchange.requestID)",
                    "ms": "\((NIODeadline.now() - endedAt).nanoseconds / 1_000_000)",
                ])
        }
    }

    // MARK: - What the connection tells

    var wantsInput: Bool { connection.inbox.readableBytes < StreamSession.readAheadBytes }

    func received(_ bytes: inout ByteBuffer) {
        // It is for after the stream.
        if bytes.readableBytes > StreamSession.maxInboxBytes { end(.cut) }
    }

    func writabilityChanged(to isWritable: Bool) {
        if isWritable {
            // It took something, and the heartbeat may be due sooner than the next look at it.
            stallsAt = .distantFuture
            setDeadline()
        }
        resumeSenders()
    }

    func inputClosed() {
        goneAt = .now() + TimeAmount(options.abandonedGrace)
        setDeadline()
    }

    func deadlinePassed(_ now: NIODeadline) {
        guard state == .open else { return }
        if now >= goneAt {
            end(.cut)
        } else if now >= endsAt {
            end(.inOrder)
        } else if connection.unsentBytes == 0 {
            stallsAt = .distantFuture
            if now >= writtenAt + TimeAmount(options.heartbeat) {
                writeChunk { $0.writeStaticString(":\n\n") }
            }
        } else if stallsAt == .distantFuture || takenNow > takenBytes {
            stallsAt = .distantFuture
            watchSlowClient()
        } else if now >= stallsAt {
            connection.server.logger.debug(
                "a client does not read", metadata: ["remote": "\(exchange.remoteAddress)"])
            end(.cut)
        }
        setDeadline()
    }

    func drain() {
        guard state == .open else { return }
        // Spread, so that not all come back in the same moment.
        let delay = options.reconnectDelay * Double.random(in: 0.5...1.5)
        writeChunk { buffer in
            ServerSentEvent.writeRetry(delay, into: &buffer)
            buffer.writeStaticString("\n")
        }
        end(.inOrder)
    }

    func connectionClosed() { end(.lost) }

    // MARK: - Steps

    /// Takes the connection and sends the head.
    private func open() throws(CancellationError) {
        let left = (exchange.deadline ?? .now) - .now
        guard connection.lend(to: self) else {
            state = .ended
            endedAt = .now()
            throw CancellationError()
        }
        state = .open
        let head = exchange.head
        isChunked = head.isHTTP11
        keepsConnection = head.isHTTP11 && head.keepsAlive && !connection.server.isDraining
        endsAt = .now() + TimeAmount(left)
        if connection.isInputClosed { goneAt = .now() + TimeAmount(options.abandonedGrace) }
        connection.write(encodeHead())
        if head.method == .head {
            connection.flush()
            end(.inOrder)
            return
        }
        let delay = options.reconnectDelay
        writeChunk { buffer in
            ServerSentEvent.writeRetry(delay, into: &buffer)
            buffer.writeStaticString("\n")
        }
        setDeadline()
        if connection.server.isDraining { drain() }
    }

    private func encodeHead() -> ByteBuffer {
        var response = Response(.ok, headers: [.contentType: "text/event-stream", .cacheControl: "no-cache"])
        if let name = HTTPField.Name("x-accel-buffering") { response.headers[name] = "no" }
        exchange.charge.status?.add(to: &response.headers)
        if options.cors.origins != .none { options.cors.add(to: &response.headers, origin: exchange.head.origin) }
        var encoder = ResponseEncoder(requestID: exchange.requestID)
        encoder.framing = isChunked ? .chunked : .untilClose
        encoder.connection = keepsConnection ? .asDefault : .close
        encoder.isSecure = exchange.isSecure
        var buffer = ByteBuffer()
        _ = encoder.write(response, date: connection.loop.date, into: &buffer)
        return buffer
    }

    func write(_ events: [ServerSentEvent]) {
        guard !events.isEmpty else { return }
        writeChunk { buffer in
            for event in events { event.write(into: &buffer) }
        }
    }

    /// Writes and sends what `body` writes, in a chunk where the stream is chunked.
    private func writeChunk(_ body: (inout ByteBuffer) -> Void) {
        let isChunked = isChunked
        let bytes = connection.loop.withScratch { buffer in
            if isChunked { ChunkedCoding.write(into: &buffer, body) } else { body(&buffer) }
        }
        writtenBytes += bytes.readableBytes
        writtenAt = .now()
        connection.write(bytes)
        connection.flush()
    }

    func setDeadline() {
        guard state == .open else { return }
        let next = stallsAt == .distantFuture ? writtenAt + TimeAmount(options.heartbeat) : stallsAt
        connection.setDeadline(min(next, endsAt, goneAt))
    }

    private func end(_ how: End) {
        guard state == .open else { return }
        state = .ended
        endedAt = .now()
        exchange.stop()
        failSenders()
        connection.logAccess(exchange, status: 200, bytes: writtenBytes, endedAt)
        switch how {
        case .lost: break
        case .cut: connection.close()
        case .inOrder:
            var last = ByteBuffer()
            if isChunked, exchange.head.method != .head { last.writeStaticString("0\r\n\r\n") }
            guard keepsConnection, !connection.server.isDraining else {
                connection.endUse(last)
                return
            }
            connection.write(last)
            connection.flush()
            connection.takeBack()
        }
    }
}
