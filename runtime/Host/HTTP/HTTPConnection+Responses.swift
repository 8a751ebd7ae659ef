internal import FunctionKit
internal import Logging
internal import NIOCore

extension HTTPConnection {
    /// Takes a handler's result. One that nobody awaits any more is dropped.
    func finish(_ result: Result<Response, any Error>, _ number: UInt64) {
        guard let exchange, exchange.number == number, phase == .running else { return }
        switch result {
        case .success(let response) where (200...599).contains(response.status.code):
            respond(response)
        case .success(let response):
            logFailure(exchange, "the handler answered with status \(response.status.code)")
            fail(ErrorResponse.internalError, closes: false)
        case .failure(let error):
            let (answer, isInternal) = ErrorResponse.make(for: error)
            if isInternal { logFailure(exchange, "\(error)") }
            fail(answer, closes: false)
        }
    }

    private func logFailure(_ exchange: Exchange, _ reason: String) {
        server.logger.error(
            "a handler failed",
            metadata: [
                "function": "\(exchange.functionName ?? "-")", "request_id": "\(exchange.requestID)",
                "error": "\(reason)",
            ])
    }

    /// Answers with an error, also where no request could be read.
    ///
    /// The connection then ends, unless what follows can be made out for certain.
    func fail(_ error: HTTPError, closes: Bool = true) {
        if exchange == nil {
            exchangeCount += 1
            exchange = Exchange(
                number: exchangeCount, head: RequestHead.unread, requestID: loop.requestIDs.next(), startedAt: .now(),
                remoteAddress: peerAddress, plan: .failure(error))
        }
        respond(ErrorResponse.response(error, requestID: exchange?.requestID ?? ""), closes: closes)
    }

    /// Sends the answer to the current request and goes on to the next, or ends the connection.
    func respond(_ response: Response, closes: Bool = false) {
        guard let context, let exchange else { return }
        self.exchange = nil
        let head = exchange.head
        var response = response
        if loop.options.cors.origins != .none {
            loop.options.cors.add(to: &response.headers, origin: head.origin)
        }
        let isLast = closes || !head.keepsAlive || server.isDraining
        exchange.charge.status?.add(to: &response.headers)
        var encoder = ResponseEncoder(requestID: exchange.requestID)
        encoder.connection = isLast ? .close : head.isHTTP11 ? .asDefault : .keepAlive
        encoder.isSecure = exchange.isSecure
        encoder.omitsBody = head.method == .head
        var rest: ByteBuffer?
        let bytes = loop.withScratch { rest = encoder.write(response, date: loop.date, into: &$0) }
        let now = NIODeadline.now()
        logAccess(
            exchange, status: response.status.code, bytes: response.body.readableBytes, now,
            coldMs: ColdStart.milliseconds(in: response.headers))

        if isLast {
            // A client that did not ask for the end may still be sending.
            sendLast(bytes, rest, lingers: closes || head.keepsAlive, now)
            return
        }
        phase = .idle
        if let rest {
            context.write(wrapOutboundOut(bytes), promise: nil)
            context.writeAndFlush(wrapOutboundOut(rest), promise: nil)
        } else {
            context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
        }
        goOn(now)
    }

    /// Goes on to the next request after an answer.
    func goOn(_ now: NIODeadline) {
        guard let context, phase == .idle else { return }
        stalledBytes = 0
        let wait = context.channel.isWritable ? loop.options.idleTimeout : loop.options.writePauseTimeout
        loop.timers.set(self, to: now + TimeAmount(wait))
        process()
    }

    func sendContinue() {
        var bytes = ByteBuffer()
        bytes.writeStaticString("HTTP/1.1 100 Continue\r\n\r\n")
        context?.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
    }

    /// Sends the last answer; the connection ends when the kernel has it.
    func sendLast(_ bytes: ByteBuffer, _ rest: ByteBuffer?, lingers: Bool, _ now: NIODeadline) {
        guard let context else { return }
        phase = .lingering
        stalledBytes = 0
        inbox = ByteBuffer()
        loop.timers.set(self, to: now + TimeAmount(loop.options.writePauseTimeout))
        let sent = context.eventLoop.makePromise(of: Void.self)
        sent.futureResult.assumeIsolated().whenComplete { _ in
            guard self.phase == .lingering else { return }
            if lingers { self.endOutput() } else { self.context?.close(promise: nil) }
        }
        if let rest {
            context.write(wrapOutboundOut(bytes), promise: nil)
            context.writeAndFlush(wrapOutboundOut(rest), promise: sent)
        } else {
            context.writeAndFlush(wrapOutboundOut(bytes), promise: sent)
        }
        releaseRead()
    }

    /// Tells the client that nothing more comes and reads on for a while: closing with unread input would reset the
    /// connection, and the client might lose the answer (RFC 9112 section 9.6).
    func endOutput() {
        phase = .lingering
        inbox = ByteBuffer()
        loop.timers.set(self, to: .now() + TimeAmount(loop.options.lingerTimeout))
        if isInputClosed, unsentBytes == 0 {
            context?.close(promise: nil)
        } else if !isInputClosed {
            context?.close(mode: .output, promise: nil)
        }
    }

    func logAccess(
        _ exchange: Exchange, status: Int, bytes: Int, _ now: NIODeadline, coldMs: @autoclosure () -> String? = nil
    ) {
        if let observe = server.observe, let report = exchange.report(status: status, now) { observe(report) }
        guard let level = loop.options.accessLogLevel, server.logger.logLevel <= level else { return }
        let microseconds = (now - exchange.startedAt).nanoseconds / 1000
        var metadata: Logger.Metadata = [
            "method": "\(exchange.head.method.rawValue)", "path": "\(exchange.head.path)", "status": "\(status)",
            "bytes": "\(bytes)", "us": "\(microseconds)", "function": "\(exchange.functionName ?? "-")",
            "request_id": "\(exchange.requestID)", "remote": "\(exchange.remoteAddress)",
        ]
        if let coldMs = coldMs() { metadata["cold_ms"] = "\(coldMs)" }
        server.logger.log(level: level, "request", metadata: metadata)
    }
}
