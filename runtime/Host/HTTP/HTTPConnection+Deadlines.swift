internal import FunctionKit
internal import Logging
internal import NIOCore

extension HTTPConnection {
    /// Ends what takes too long.
    func endPhase(_ now: NIODeadline) {
        switch phase {
        case .idle, .lingering:
            if unsentBytes > 0 { watchSlowReader(now) } else { context?.close(promise: nil) }
        case .head, .body:
            fail(ErrorResponse.requestTimeout)
        case .running:
            if isInputClosed {
                abandonExchange()
                context?.close(promise: nil)
            } else {
                timeOut()
            }
        case .lent: user?.deadlinePassed(now)
        case .closed: break
        }
    }

    /// Gives a client that takes what waits for it more time, and closes on one that does not.
    private func watchSlowReader(_ now: NIODeadline) {
        let unsent = unsentBytes
        if stalledBytes == 0 || unsent < stalledBytes {
            stalledBytes = unsent
            loop.timers.set(self, to: now + TimeAmount(loop.options.writePauseTimeout))
        } else {
            server.logger.debug("a client does not read", metadata: ["remote": "\(peerAddress)"])
            context?.close(promise: nil)
        }
    }

    /// Answers in place of a handler that takes too long, or that could not even be started.
    private func timeOut() {
        guard let exchange else { return }
        let stage = exchange.stage
        exchange.stop()
        switch stage {
        case .waiting:
            fail(ErrorResponse.saturated, closes: false)
        case .running, .none:
            server.logger.warning(
                "a function ran past its timeout",
                metadata: [
                    "function": "\(exchange.functionName ?? "-")", "request_id": "\(exchange.requestID)",
                ])
            fail(ErrorResponse.timedOut, closes: false)
        }
    }

    /// Drops the current request: its client is gone.
    func abandonExchange() {
        guard let exchange else { return }
        self.exchange = nil
        exchange.stop()
        // 499 as nginx has it: the client closed the connection before its answer.
        logAccess(exchange, status: 499, bytes: 0, .now())
    }
}
