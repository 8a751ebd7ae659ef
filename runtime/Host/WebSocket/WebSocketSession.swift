internal import DequeModule
internal import FunctionKit
internal import Logging
internal import NIOCore

/// A socket, from its request to its end. Belongs to its connection's loop.
///
/// The handler pulls: one message is kept for it, then nothing more is parsed or read, and the client is slowed down. Until
/// then pings are answered and a close is heard, also while the handler does not read at all. What ends the socket, a
/// close frame or a failure, waits for the answer to the messages before it: until the handler asks for the next message,
/// or for ``answerTime``.
///
/// An idle socket is this object and its connection; it has no timer, buffer or zlib state of its own. `+Connection` holds
/// what the connection tells, `+Ending` the ways a socket ends.
final class WebSocketSession: SendingUser {
    typealias Receipt = OneShot<Result<WebSocketMessage?, CancellationError>>

    enum State {
        /// The request was not answered.
        case unaccepted
        case open
        /// The close frame is sent, the client's is awaited.
        case closing
        case ended
    }

    /// What the client ends the socket with.
    enum Ending {
        case close(WebSocketClose)
        case failure(WebSocketFailure)
    }

    enum Received {
        case message(WebSocketMessage)
        case ended
        /// The next message is to come.
        case nothing
    }

    /// How long a handler may answer messages after the client has ended the socket.
    static let answerTime = TimeAmount.milliseconds(500)
    /// How long the client has for its close frame.
    static let closeTime = TimeAmount.seconds(5)
    /// A handler that heeds its cancellation has ended by then.
    static let lateAfter = TimeAmount.seconds(1)

    let exchange: Exchange
    let connection: HTTPConnection
    let handshake: WebSocketHandshake
    private let deflate: PerMessageDeflate?
    var state = State.unaccepted
    var parser: WebSocketParser
    var encoder: WebSocketEncoder

    /// What has come and nobody asked for.
    var kept: WebSocketMessage?
    /// Who waits for a message.
    var receipt: Receipt?
    /// Whether the handler has a message and has not asked for another.
    var isAnswering = false
    /// What ends the socket once the handler has answered.
    var ending: Ending?
    var waiters: Deque<SendWaiter<WebSocketMessage>> = []
    /// The newest ping's payload, when the client does not take the answers.
    var unsentPong: ByteBuffer?

    var writtenBytes = 0
    var heardAt = NIODeadline.now()
    /// When a ping was sent, if the client has been silent since.
    var pingedAt: NIODeadline?
    /// When the socket ends whatever its handler does.
    var endsAt = NIODeadline.distantFuture
    /// When a client that has closed its side counts as gone.
    var goneAt = NIODeadline.distantFuture
    /// When the wait for an answer, or for the client's close frame, ends.
    var waitsUntil = NIODeadline.distantFuture
    var stallsAt = NIODeadline.distantFuture
    var takenBytes = 0
    var endedAt = NIODeadline.distantFuture

    init(
        _ connection: HTTPConnection, _ exchange: Exchange, _ handshake: WebSocketHandshake,
        _ manifest: FunctionManifest
    ) {
        self.connection = connection
        self.exchange = exchange
        self.handshake = handshake
        deflate =
            manifest.compression == .off
            ? nil : PerMessageDeflate.accept(handshake.extensions, keepsContext: manifest.compression == .context)
        let store = connection.loop.deflate
        parser = WebSocketParser(
            maxMessageBytes: manifest.maxMessageBytes, store: deflate == nil ? nil : store,
            keepsContext: deflate?.clientKeepsContext ?? false)
        encoder = WebSocketEncoder(deflate, store: store)
    }

    var options: HTTPServerOptions { connection.loop.options }

    // MARK: - What the handler does

    /// Takes the connection and answers 101.
    ///
    /// - Throws: `CancellationError` when the client has gone, `HTTPError` for a wrong call and at shutdown.
    func accept(_ chosen: String?) throws {
        guard state == .unaccepted else {
            throw HTTPError(.internalServerError, message: "An upgrade is accepted once.")
        }
        if let chosen, !handshake.protocols.contains(chosen) {
            throw HTTPError(.internalServerError, message: "The client does not offer the sub-protocol \(chosen).")
        }
        if connection.server.isDraining { throw ErrorResponse.unavailable("The process is shutting down.") }
        let left = (exchange.deadline ?? .now) - .now
        guard connection.lend(to: self) else {
            state = .ended
            endedAt = .now()
            throw CancellationError()
        }
        state = .open
        heardAt = .now()
        endsAt = heardAt + TimeAmount(left)
        if connection.isInputClosed { goneAt = heardAt + TimeAmount(options.abandonedGrace) }
        let head = connection.loop.withScratch { buffer in
            handshake.writeAnswer(protocol: chosen, deflate: deflate, requestID: exchange.requestID, into: &buffer)
        }
        write(head)
        connection.flush()
        setDeadline()
        connection.offerInput()
        // Between requests little was read.
        if wantsInput { connection.releaseRead() }
    }

    /// Takes the kept message, or the socket's end.
    func receiveAtOnce() -> Received {
        isAnswering = false
        guard state == .open else { return .ended }
        if let message = kept {
            kept = nil
            isAnswering = true
            goOn()
            return .message(message)
        }
        if ending != nil {
            performEnding()
            return .ended
        }
        return .nothing
    }

    /// Does for a reader that waits what ``receiveAtOnce()`` does, now or later.
    func enqueue(_ receipt: Receipt) {
        guard !receipt.isSet else { return }
        guard self.receipt?.isSet ?? true else {
            // A second reader.
            receipt.set(.failure(CancellationError()))
            return
        }
        // A reader may be cancelled at any time, from anywhere: then the message stays.
        if state == .open, let message = kept, !receipt.set(.success(message)) { return }
        switch receiveAtOnce() {
        case .message: break
        case .ended: receipt.set(.success(nil))
        case .nothing: self.receipt = receipt
        }
    }

    var isOpen: Bool { state == .open }

    /// Nothing: a socket is handed out when it is open.
    func prepareToSend() throws(CancellationError) {}

    /// Forgets a reader that does not wait any more.
    func dropCancelledReader() {
        if receipt?.isSet == true { receipt = nil }
    }

    func handlerEnded(_ result: Result<Void, any Error>) {
        switch state {
        case .unaccepted:
            state = .ended
            connection.finish(result.map { Response(.noContent) }, exchange.number)
        case .open:
            guard case .failure(let error) = result else { return close(.normal) }
            connection.server.logger.error(
                "a socket's handler failed",
                metadata: [
                    "function": "\(exchange.functionName ?? "-")", "request_id": "\(exchange.requestID)",
                    "error": "\(error)",
                ])
            close(.internalError)
        case .closing, .ended:
            guard NIODeadline.now() > endedAt + WebSocketSession.lateAfter else { return }
            connection.server.logger.notice(
                "a handler went on after its socket had closed",
                metadata: [
                    "function": "\(exchange.functionName ?? "-")", "request_id": "\(exchange.requestID)",
                    "ms": "\((NIODeadline.now() - endedAt).nanoseconds / 1_000_000)",
                ])
        }
    }
}
