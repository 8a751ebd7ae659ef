internal import DequeModule
internal import FunctionKit
internal import NIOCore

extension WebSocketSession {
    // MARK: - What the connection tells

    var wantsInput: Bool {
        switch state {
        case .open: kept == nil && ending == nil
        case .closing: true
        case .unaccepted, .ended: false
        }
    }

    func received(_ bytes: inout ByteBuffer) {
        heardAt = .now()
        pingedAt = nil
        while wantsInput {
            switch parser.next(&bytes) {
            case .needsMore: return connection.flush()
            case .message(let message): take(message)
            case .ping(let payload): answer(payload)
            case .pong: break
            case .close(let close): end(with: .close(close))
            case .failed(let failure): end(with: .failure(failure))
            }
        }
        connection.flush()
    }

    func writabilityChanged(to isWritable: Bool) {
        guard isWritable, state == .open else { return }
        // It took something.
        stallsAt = .distantFuture
        if let payload = unsentPong {
            unsentPong = nil
            answer(payload)
            connection.flush()
        }
        resumeSenders()
        setDeadline()
    }

    func inputClosed() {
        if state == .closing { return end(.inOrder(ByteBuffer())) }
        // What came before may still be answered, and its answer go out.
        goneAt = .now() + TimeAmount(options.abandonedGrace)
        setDeadline()
    }

    func deadlinePassed(_ now: NIODeadline) {
        if now >= goneAt {
            if ending != nil { performEnding() } else { end(.cut) }
        } else if state == .closing {
            if now >= waitsUntil { endClosing(now) }
        } else if now >= endsAt {
            if exchange.endsWithToken {
                close(.unauthorized, reason: "The token has expired.")
            } else {
                close(.goingAway)
            }
            exchange.stop()
        } else if now >= waitsUntil {
            // An answer that the client takes slowly is one too.
            guard !waiters.isEmpty else { return performEnding() }
            waitsUntil = now + WebSocketSession.answerTime
            watchClient(now)
        } else {
            watchClient(now)
        }
        setDeadline()
    }

    func drain() {
        guard state == .open else { return }
        close(.serviceRestart)
        exchange.stop()
    }

    func connectionClosed() { end(.lost) }

    // MARK: - Steps

    /// Keeps a message, or hands it to who waits for it.
    private func take(_ message: WebSocketMessage) {
        // While closing messages are dropped.
        guard state == .open else { return }
        let receipt = receipt
        self.receipt = nil
        if let receipt, receipt.set(.success(message)) {
            isAnswering = true
        } else {
            kept = message
        }
    }

    /// Answers a ping; only the newest while the client takes nothing (RFC 6455 section 5.5.3).
    private func answer(_ payload: ByteBuffer) {
        guard state == .open else { return }
        if !connection.isWritable { connection.flush() }
        guard connection.isWritable else {
            unsentPong = payload
            watchSlowClient()
            return
        }
        var frame = ByteBuffer()
        WebSocketFrames.writeControl(.pong, payload, into: &frame)
        write(frame)
    }

    /// Parses what was left, and reads on.
    func goOn() {
        connection.offerInput()
        if wantsInput { connection.releaseRead() }
    }

    func write(_ messages: [WebSocketMessage]) {
        var index = 0
        while index < messages.count {
            var rest: ByteBuffer?
            let bytes = connection.loop.withScratch { buffer in
                while index < messages.count, rest == nil {
                    rest = encoder.write(messages[index], into: &buffer)
                    index += 1
                }
            }
            write(bytes)
            if let rest { write(rest) }
        }
        connection.flush()
    }

    func write(_ bytes: ByteBuffer) {
        writtenBytes += bytes.readableBytes
        connection.write(bytes)
    }

    // MARK: - Deadlines

    /// Pings a client that is silent, drops one that stays so or that takes nothing.
    private func watchClient(_ now: NIODeadline) {
        if stallsAt != .distantFuture, now >= stallsAt {
            if connection.unsentBytes == 0 {
                stallsAt = .distantFuture
            } else if takenNow > takenBytes {
                stallsAt = .distantFuture
                watchSlowClient()
            } else {
                connection.server.logger.debug(
                    "a client does not read", metadata: ["remote": "\(exchange.remoteAddress)"])
                return end(.cut)
            }
        }
        guard now >= silentAt else { return }
        if !wantsInput {
            // It may have much to say; it is not asked.
            heardAt = now
            pingedAt = nil
        } else if pingedAt != nil {
            connection.server.logger.debug("a client is silent", metadata: ["remote": "\(exchange.remoteAddress)"])
            end(.cut)
        } else {
            pingedAt = now
            var frame = ByteBuffer()
            WebSocketFrames.writeControl(.ping, ByteBuffer(), into: &frame)
            write(frame)
            connection.flush()
        }
    }

    /// When a silent client is pinged, or dropped.
    private var silentAt: NIODeadline {
        (pingedAt ?? heardAt) + TimeAmount(options.pingInterval)
    }

    func setDeadline() {
        switch state {
        case .open: connection.setDeadline(min(silentAt, stallsAt, endsAt, goneAt, waitsUntil))
        case .closing: connection.setDeadline(min(goneAt, waitsUntil))
        case .unaccepted, .ended: break
        }
    }
}
