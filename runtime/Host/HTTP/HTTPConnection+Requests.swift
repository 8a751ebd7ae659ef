internal import FunctionKit
internal import NIOCore

extension HTTPConnection {
    /// Works off what has come, until more is needed or an answer is awaited.
    func process() {
        guard !isProcessing else { return }
        isProcessing = true
        while let context, isReadyForInput(context) {
            switch parser.next(&inbox) {
            case .needsMore:
                waitForInput()
                isProcessing = false
                return
            case .head(let head): begin(head)
            case .body(let bytes): take(bytes)
            case .end: run()
            case .failed(let error): fail(error)
            }
        }
        isProcessing = false
        if inbox.readableBytes == 0 { inbox = ByteBuffer() } else if phase == .lent { offerInput() }
    }

    private func isReadyForInput(_ context: ChannelHandlerContext) -> Bool {
        switch phase {
        // The next request begins only when the client takes its answers.
        case .idle: context.channel.isWritable
        case .head, .body: true
        case .running, .lent, .lingering, .closed: false
        }
    }

    private func waitForInput() {
        // Nothing is kept between requests: the memory goes back to the channel's receive buffer.
        if inbox.readableBytes == 0 { inbox = ByteBuffer() }
        let isBetweenRequests = phase == .idle && inbox.readableBytes == 0 && parser.isBetweenRequests
        if isInputClosed {
            // Nothing more will come: half a request is dropped.
            abandonExchange()
            if unsentBytes == 0 { context?.close(promise: nil) } else { endOutput() }
            return
        }
        switch phase {
        case .idle where !isBetweenRequests:
            phase = .head
            loop.timers.set(self, to: .now() + TimeAmount(loop.options.headTimeout))
        case .body:
            let pause = NIODeadline.now() + TimeAmount(loop.options.bodyPauseTimeout)
            loop.timers.set(self, to: min(pause, exchange?.bodyDeadline ?? pause))
        case .idle, .head, .running, .lent, .lingering, .closed: break
        }
        releaseRead()
    }

    private func begin(_ head: RequestHead) {
        exchangeCount += 1
        let now = NIODeadline.now()
        let (plan, sender) = identify(head, plan(head))
        let exchange = Exchange(
            number: exchangeCount, head: head, requestID: head.requestID ?? loop.requestIDs.next(), startedAt: now,
            remoteAddress: peerAddress, plan: plan)
        exchange.sender = sender
        exchange.isSecure = loop.options.tls != nil && peerAddress != "unix"
        if !loop.options.trustedProxies.isEmpty { readForwarded(exchange) }
        let limit = exchange.maxBodyBytes
        exchange.bodyDeadline = now + TimeAmount(loop.options.bodyTimeout)
        self.exchange = exchange
        switch head.framing {
        case .none: run()
        case .length(let length) where length > limit: refuseBody(exchange)
        case .chunked where exchange.isAnswered, .length where exchange.isAnswered && head.expectsContinue:
            refuseBody(exchange)
        case .length, .chunked:
            phase = .body
            if head.expectsContinue, inbox.readableBytes == 0 { sendContinue() }
        }
    }

    /// Answers without reading the body: with what is wrong besides, or with the body's being too large.
    private func refuseBody(_ exchange: Exchange) {
        switch exchange.plan {
        case .answer(let response): respond(response, closes: true)
        case .failure(let error): fail(error)
        case .call: fail(ErrorResponse.bodyTooLarge)
        }
    }

    private func take(_ bytes: ByteBuffer) {
        guard let exchange else { return }
        guard exchange.body.readableBytes + bytes.readableBytes <= exchange.maxBodyBytes else {
            refuseBody(exchange)
            return
        }
        if exchange.body.readableBytes == 0 {
            exchange.body = bytes
        } else {
            exchange.body.writeImmutableBuffer(bytes)
        }
    }

    private func plan(_ head: RequestHead) -> Exchange.Plan {
        let method = head.method.rawValue
        switch loop.router.match(method: method, path: head.path) {
        case .found(let endpoint, let parameters): return .call(endpoint, parameters: parameters)
        case .methodNotAllowed(let allow):
            if head.method == .head,
                case .found(let endpoint, let parameters) = loop.router.match(method: "GET", path: head.path)
            {
                return .call(endpoint, parameters: parameters)
            }
            if head.method == .options { return .answer(options(head, allow: allow)) }
            return .failure(ErrorResponse.methodNotAllowed(allow: allow))
        case .notFound:
            if head.path == "*" { return .answer(options(head, allow: loop.router.allMethods)) }
            return .failure(ErrorResponse.notFound)
        case .malformed: return .failure(.malformed("The path holds a wrong percent escape."))
        }
    }

    private func options(_ head: RequestHead, allow: String) -> Response {
        var response = Response(.noContent, headers: [.allow: allow])
        if let origin = head.origin, head.fields.contains(.accessControlRequestMethod) {
            loop.options.cors.addPreflight(to: &response.headers, origin: origin, methods: allow)
        }
        return response
    }

    /// Takes what a trusted proxy says of its client.
    private func readForwarded(_ exchange: Exchange) {
        guard loop.options.trustedProxies.contains(exchange.remoteAddress) else { return }
        let fields = exchange.head.fields
        if fields[.xForwardedProto] == "https" { exchange.isSecure = true }
        if let list = fields[.xForwardedFor], let client = loop.options.trustedProxies.client(forwardedFor: list) {
            exchange.remoteAddress = client
        }
    }

    /// Answers the request, which is complete, or calls what answers it.
    private func run() {
        guard let exchange else { return }
        phase = .running
        switch exchange.plan {
        case .failure(let error): fail(error, closes: false)
        case .answer(let response): respond(response)
        case .call(let endpoint, let parameters):
            loop.timers.set(self, to: .now() + TimeAmount(endpoint.timeout))
            exchange.deadline = .now + endpoint.timeout
            admit(endpoint, parameters, exchange)
        }
    }
}
