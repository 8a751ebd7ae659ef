internal import DequeModule
internal import FunctionKit
internal import Logging
internal import NIOCore

extension WebSocketSession {
    enum End {
        /// With these last bytes; then this side is closed.
        case inOrder(ByteBuffer)
        case cut
        /// The connection is gone already.
        case lost
    }

    /// Ends the socket as the client wants or deserves, once what came before is answered.
    func end(with ending: Ending) {
        guard state == .open else {
            // The client's answer to the close frame, or nothing that could be one.
            end(.inOrder(ByteBuffer()))
            return
        }
        self.ending = ending
        if isAnswering || kept != nil {
            waitsUntil = .now() + WebSocketSession.answerTime
            setDeadline()
        } else {
            performEnding()
        }
    }

    func performEnding() {
        guard let ending else { return }
        let close: WebSocketClose
        switch ending {
        case .close(let received): close = WebSocketClose(code: received.code)
        case .failure(let failure):
            connection.server.logger.debug(
                "a client breaks the WebSocket protocol",
                metadata: ["remote": "\(exchange.remoteAddress)", "reason": "\(failure.reason)"])
            close = WebSocketClose(code: failure.code, reason: failure.reason)
        }
        var frame = ByteBuffer()
        WebSocketFrames.writeControl(.close, close.payload, into: &frame)
        end(.inOrder(frame))
    }

    /// Begins the closing handshake. What senders wait with goes out first.
    func close(_ code: WebSocketCloseCode, reason: String = "") {
        guard state == .open else { return }
        guard ending == nil else { return performEnding() }
        let left = waiters
        waiters = []
        for waiter in left where !waiter.sent.isSet {
            write(waiter.items)
            waiter.sent.set(.success(()))
        }
        guard state == .open else { return }
        state = .closing
        endedAt = .now()
        let close = WebSocketClose(
            code: WebSocketClose.mayBeSent(code.rawValue) ? code : .internalError, reason: reason)
        var frame = ByteBuffer()
        WebSocketFrames.writeControl(.close, close.payload, into: &frame)
        write(frame)
        connection.flush()
        guard state == .closing else { return }
        encoder.end()
        dropReader()
        waitsUntil = .now() + WebSocketSession.closeTime
        takenBytes = takenNow
        setDeadline()
        goOn()
    }

    /// The time for the client's close frame is over; one that still takes what was sent gets more.
    func endClosing(_ now: NIODeadline) {
        if connection.unsentBytes == 0 {
            end(.inOrder(ByteBuffer()))
        } else if takenNow > takenBytes {
            takenBytes = takenNow
            waitsUntil = now + WebSocketSession.closeTime
        } else {
            end(.cut)
        }
    }

    /// Ends the socket, its handler and all that waits for it.
    func end(_ how: End) {
        guard state == .open || state == .closing else { return }
        if state == .open { endedAt = .now() }
        state = .ended
        parser.end()
        encoder.end()
        ending = nil
        unsentPong = nil
        dropReader()
        failSenders()
        exchange.stop()
        if case .inOrder(let last) = how { writtenBytes += last.readableBytes }
        connection.logAccess(exchange, status: 101, bytes: writtenBytes, .now())
        switch how {
        case .inOrder(let last): connection.endUse(last)
        case .cut: connection.close()
        case .lost: break
        }
    }

    private func dropReader() {
        kept = nil
        let receipt = receipt
        self.receipt = nil
        receipt?.set(.success(nil))
    }
}
