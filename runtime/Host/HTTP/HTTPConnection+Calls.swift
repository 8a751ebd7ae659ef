internal import FunctionKit
internal import NIOCore

extension HTTPConnection {
    /// Calls what answers the request, or queues it up for that.
    func call(_ endpoint: Endpoint, _ request: Request, _ exchange: Exchange) {
        let connection = NIOLoopBound(self, eventLoop: loop.executor.eventLoop)
        let number = exchange.number
        switch endpoint.target {
        case .host(let route):
            // Owner: this connection, which cancels it; it ends when the route has answered.
            let task = Task.immediate(executorPreference: loop.executor) {
                let result: Result<Response, any Error>
                do { result = .success(try await route.answer(request)) } catch { result = .failure(error) }
                HTTPConnection.onLoop(of: connection) { $0.finish(result, number) }
            }
            exchange.keep(task)
        case .function(let runner, _), .stream(let runner, _):
            enter(runner, endpoint, request, exchange)
        case .webSocket(let runner, _):
            do throws(HTTPError) {
                exchange.handshake = try WebSocketHandshake(exchange.head, cors: loop.options.cors)
                enter(runner, endpoint, request, exchange)
            } catch {
                fail(error, closes: false)
            }
        }
    }

    private func enter(_ runner: FunctionRunner, _ endpoint: Endpoint, _ request: Request, _ exchange: Exchange) {
        let connection = NIOLoopBound(self, eventLoop: loop.executor.eventLoop)
        let number = exchange.number
        if server.observe != nil { exchange.calledAt = .now() }
        let entry = runner.gate.enter {
            { connection.eventLoop.execute { connection.value.slotGranted(number, runner) } }
        }
        switch entry {
        case .entered: start(runner, endpoint, request, exchange)
        case .waiting(let ticket): exchange.wait(ticket, runner, request)
        case .turnedAway: fail(ErrorResponse.saturated, closes: false)
        }
    }

    private func slotGranted(_ number: UInt64, _ runner: FunctionRunner) {
        guard let exchange, exchange.number == number, case .call(let endpoint, _) = exchange.plan,
            let request = exchange.stopWaiting()
        else {
            runner.gate.leave()
            return
        }
        start(runner, endpoint, request, exchange)
    }

    private func start(
        _ runner: FunctionRunner, _ endpoint: Endpoint, _ request: Request, _ exchange: Exchange
    ) {
        let isCold = runner.takeCold()
        if server.observe != nil {
            exchange.begunAt = .now()
            exchange.isCold = isCold
        }
        let eventLoop = loop.executor.eventLoop
        let number = exchange.number
        let deadline = exchange.deadline ?? .now
        let traceParent = exchange.head.traceParent
        switch endpoint.target {
        case .host: break
        case .function(_, let handler):
            let connection = NIOLoopBound(self, eventLoop: eventLoop)
            let (guards, charge) = (server.guards, exchange.charge)
            let task = runner.start(
                requestID: request.id, deadline: deadline, loop: loop.executor, traceParent: traceParent,
                user: request.user
            ) { context in
                try await guards.charged(charge) { try await handler(request, context) }
            } ended: { result in
                HTTPConnection.onLoop(of: connection) { $0.finish(result, number) }
            }
            exchange.keep(task)
        case .stream(_, let handler):
            let session = NIOLoopBound(StreamSession(self, exchange), eventLoop: eventLoop)
            let events = EventStream(StreamSink(session))
            let task = runner.start(
                requestID: request.id, deadline: deadline, loop: loop.executor, traceParent: traceParent,
                user: request.user, isLasting: true
            ) { context in
                try await handler(request, events, context)
            } ended: { result in
                HTTPConnection.onLoop(of: session) { $0.handlerEnded(result) }
            }
            exchange.keep(task)
        case .webSocket(_, let handler):
            guard let handshake = exchange.handshake else { return }
            let manifest = runner.function.manifest
            let session = NIOLoopBound(WebSocketSession(self, exchange, handshake, manifest), eventLoop: eventLoop)
            let upgrade = WebSocketUpgrade(WebSocketConnection(session), protocols: handshake.protocols)
            let task = runner.start(
                requestID: request.id, deadline: deadline, loop: loop.executor, traceParent: traceParent,
                user: request.user, isLasting: true
            ) { context in
                try await handler(request, upgrade, context)
            } ended: { result in
                HTTPConnection.onLoop(of: session) { $0.handlerEnded(result) }
            }
            exchange.keep(task)
        }
    }

    /// Does something on the loop, at once when this is it.
    private static func onLoop<Value>(of bound: NIOLoopBound<Value>, _ body: @escaping @Sendable (Value) -> Void) {
        if bound.eventLoop.inEventLoop {
            body(bound.value)
        } else {
            bound.eventLoop.execute { body(bound.value) }
        }
    }
}
