internal import FunctionKit
internal import NIOCore

extension HTTPConnection {
    /// Says who sends a request, as far as that can be told at once, and refuses it where that is not enough.
    func identify(_ head: RequestHead, _ plan: Exchange.Plan) -> (plan: Exchange.Plan, sender: Identification) {
        let authenticator = server.guards.authenticator
        guard case .call(let endpoint, let parameters) = plan, endpoint.isFunction, !authenticator.isOpen else {
            return (plan, .known(.local))
        }
        let sender = authenticator.identify(
            head, isTrustedPeer: loop.options.trustedProxies.contains(peerAddress),
            subjects: endpoint.isLasting ? Array(parameters.values) : nil)
        switch sender {
        case .refused(let error): return (.failure(error), sender)
        case .known(let user):
            let problem = authenticator.problem(of: user, for: endpoint.access)
            return (problem.map(Exchange.Plan.failure) ?? plan, sender)
        case .unsettled: return (plan, sender)
        }
    }

    /// Calls what answers a complete request, once the guards have let it in.
    func admit(_ endpoint: Endpoint, _ parameters: [String: String], _ exchange: Exchange) {
        let guards = server.guards
        var names: [String] = []
        if endpoint.isFunction, guards.limiter != nil { names = endpoint.rateLimit }
        if case .known(let user) = exchange.sender, names.isEmpty {
            return admitted(endpoint, parameters, exchange, user)
        }
        let connection = NIOLoopBound(self, eventLoop: loop.executor.eventLoop)
        let (number, sender, head, address) = (exchange.number, exchange.sender, exchange.head, exchange.remoteAddress)
        // Owner: this connection, which cancels it; it ends with the bounds of the guards.
        let task = Task.immediate(executorPreference: loop.executor) {
            let admission = await guards.admit(
                sender, head, access: endpoint.access, rateLimit: names, address: address)
            // Never at once: the connection keeps this task first, and then the handler's.
            connection.eventLoop.execute { connection.value.take(admission, number, parameters) }
        }
        exchange.keep(task)
    }

    private func take(_ admission: Admission, _ number: UInt64, _ parameters: [String: String]) {
        guard let exchange, exchange.number == number, phase == .running, case .call(let endpoint, _) = exchange.plan
        else { return }
        switch admission {
        case .refused(let error): fail(error, closes: false)
        case .admitted(let user, let charge):
            exchange.charge = charge
            admitted(endpoint, parameters, exchange, user)
        }
    }

    private func admitted(
        _ endpoint: Endpoint, _ parameters: [String: String], _ exchange: Exchange, _ user: User?
    ) {
        if endpoint.isFunction, let limiter = server.guards.limiter {
            do throws(HTTPError) {
                exchange.places = try limiter.enter(
                    endpoint.rateLimit, user: user, address: exchange.remoteAddress)
            } catch {
                return fail(error, closes: false)
            }
        }
        if endpoint.isLasting, let end = user?.expiresAt {
            let left = Duration.milliseconds(max(0, end.milliseconds - Timestamp.now.milliseconds))
            if left < endpoint.timeout {
                exchange.deadline = .now + left
                exchange.endsWithToken = true
            }
        }
        let head = exchange.head
        let request = Request(
            method: head.method == .head ? .get : head.method, path: head.path, query: head.query,
            headers: head.fields, body: exchange.body, parameters: parameters, id: exchange.requestID,
            remoteAddress: exchange.remoteAddress, user: user)
        exchange.body = ByteBuffer()
        call(endpoint, request, exchange)
    }
}

extension RequestGuards {
    /// Settles who sends a request, and takes what it takes of budgets.
    func admit(
        _ sender: Identification, _ head: RequestHead, access: FunctionManifest.Access, rateLimit: [String],
        address: String
    ) async -> Admission {
        var sender = sender
        if case .unsettled = sender { sender = await authenticator.settle(head) }
        do throws(HTTPError) {
            switch sender {
            case .refused(let error): throw error
            case .unsettled: throw ErrorResponse.internalError
            case .known(let user):
                if let problem = authenticator.problem(of: user, for: access) { throw problem }
                guard let limiter, !rateLimit.isEmpty else { return .admitted(user, RateCharge()) }
                return .admitted(user, try await limiter.take(rateLimit, user: user, address: address))
            }
        } catch {
            return .refused(error)
        }
    }

    /// Calls a handler, and gives back what the request took when it comes to nothing.
    func charged(
        _ charge: RateCharge, _ handler: @Sendable () async throws -> Response
    ) async throws -> Response {
        guard let limiter, !charge.refunds.isEmpty else { return try await handler() }
        do {
            let response = try await handler()
            if response.status.code >= 400 { await limiter.giveBack(charge) }
            return response
        } catch {
            await limiter.giveBack(charge)
            throw error
        }
    }
}
