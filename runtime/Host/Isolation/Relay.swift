internal import FunctionKit
internal import NIOCore
internal import NIOPosix

/// The handler of a function whose module is in other processes: passes each call on, and what comes of it back.
///
/// A relay runs on the loop that calls it, which has a link of its own to every process: the supervisor moves no call
/// between threads. It ends when the handler has, so that its place in the function's limits is taken for as long.
struct Relay: Sendable {
    let pool: ProcessPool

    /// How often a call is given to another process because one has ended before it began it.
    private static let maxTries = 10
    /// The longest pause after failures that a call waits for; with a longer one it is refused.
    private static let longestWait = TimeAmount.seconds(1)

    /// A process ended before the call did.
    private struct Loss: Error {
        let wasTaken: Bool
    }

    func http(_ request: Request, _ context: Context) async throws -> Response {
        try await call(.request(request, protocols: []), context) { call in
            guard case .response(let response) = try await end(of: call, context) else { throw Relay.wrongResult }
            return response
        }
    }

    func job(_ job: QueueJob<String>, _ context: Context) async throws -> String {
        try await call(.job(job), context) { call in
            guard case .text(let text) = try await end(of: call, context) else { throw Relay.wrongResult }
            return text
        }
    }

    /// An event or a tick.
    func notification(_ input: LinkCall.Input, _ context: Context) async throws {
        try await call(input, context) { call in _ = try await end(of: call, context) }
    }

    func stream(_ request: Request, _ events: EventStream, _ context: Context) async throws {
        try await call(.request(request, protocols: []), context) { call in
            while true {
                switch await call.next() {
                case .events(let batch, let bytes):
                    do {
                        try await events.send(batch)
                        call.credit(bytes)
                    } catch {
                        call.cancel()
                    }
                case .end(let result): return _ = try Relay.value(result, of: call)
                case .lost(let wasTaken): throw Loss(wasTaken: wasTaken)
                case .accept, .messages, .close, .want, .progress: throw Relay.wrongResult
                }
            }
        }
    }

    func webSocket(_ request: Request, _ upgrade: WebSocketUpgrade, _ context: Context) async throws {
        try await call(.request(request, protocols: upgrade.protocols), context) { call in
            try await withThrowingDiscardingTaskGroup { group in
                // What still reads the client's messages has nobody to give them to.
                defer { group.cancelAll() }
                var socket: WebSocket?
                while true {
                    switch await call.next() {
                    case .accept(let chosen):
                        do {
                            socket = try await upgrade.accept(protocol: chosen)
                            call.write(.accepted)
                        } catch {
                            call.write(.refused) { LinkError.write(error, into: &$0) }
                        }
                    case .want:
                        guard let socket else { throw Relay.wrongResult }
                        group.addTask { await read(socket, for: call) }
                    case .messages(let messages, let bytes):
                        do {
                            try await socket?.send(messages)
                            call.credit(bytes)
                        } catch {
                            call.cancel()
                        }
                    case .close(let code, let reason): await socket?.close(code, reason: reason)
                    case .end(let result): return _ = try Relay.value(result, of: call)
                    case .lost(let wasTaken): throw Loss(wasTaken: wasTaken)
                    case .events, .progress: throw Relay.wrongResult
                    }
                }
            }
        }
    }

    /// Passes the client's next message on, or the end of its socket.
    private func read(_ socket: WebSocket, for call: RemoteCall) async {
        var iterator = socket.makeAsyncIterator()
        do {
            guard let message = try await iterator.next() else { return call.write(.socketClosed) }
            call.write(.message) { LinkEvents.write([message], into: &$0) }
        } catch {
            // The call has ended, or ends.
        }
    }

    // MARK: - Steps

    /// Makes the call in a process that has room, and again in another one if that ends before it begins.
    private func call<Output: Sendable>(
        _ input: LinkCall.Input, _ context: Context, _ body: (RemoteCall) async throws -> Output
    ) async throws -> Output {
        guard let loop = MultiThreadedEventLoopGroup.currentEventLoop else { throw ErrorResponse.internalError }
        for _ in 0..<Relay.maxTries {
            guard let process = try await acquire() else { continue }
            let call = process.link(on: loop).call(input, context)
            defer {
                pool.release(process, hasAnswered: call.isAnswered, wasAbandoned: call.isAbandoned)
            }
            do {
                return try await withTaskCancellationHandler {
                    do {
                        return try await body(call)
                    } catch let violation as LinkViolation {
                        // The process says what makes no sense; nothing more is heard of it.
                        call.link.channel.close()
                        throw violation
                    }
                } onCancel: {
                    call.cancel()
                }
            } catch let loss as Loss {
                guard !loss.wasTaken else { throw Relay.crashed }
                try Task.checkCancellation()
            }
        }
        throw Relay.unavailable(after: .seconds(1))
    }

    /// - Returns: `nil` after a pause: then one may be there.
    private func acquire() async throws -> FunctionProcess? {
        switch pool.acquire() {
        case .process(let process): return process
        case .full: throw ErrorResponse.saturated
        case .stopped: throw ErrorResponse.unavailable("The process is shutting down.")
        case .backOff(let until):
            let pause = until - .now()
            guard pause <= Relay.longestWait else { throw Relay.unavailable(after: pause) }
            try await Task.sleep(for: .nanoseconds(max(1, pause.nanoseconds)))
            return nil
        }
    }

    private func end(of call: RemoteCall, _ context: Context) async throws -> LinkResult.Value {
        while true {
            switch await call.next() {
            case .end(let result): return try Relay.value(result, of: call)
            case .lost(let wasTaken): throw Loss(wasTaken: wasTaken)
            case .progress(let json, let bytes):
                try await context.report(json)
                call.credit(bytes)
            case .events, .messages, .accept, .close, .want: throw Relay.wrongResult
            }
        }
    }

    /// The value, or the error, with the time that it waited for the start of its process.
    private static func value(
        _ result: Result<LinkResult.Value, any Error>, of call: RemoteCall
    ) throws -> LinkResult.Value {
        guard let wait = call.link.coldWait(of: call) else { return try result.get() }
        switch result {
        case .success(.response(var response)):
            ColdStart.add(wait, to: &response.headers)
            return .response(response)
        case .failure(var error as HTTPError):
            ColdStart.add(wait, to: &error.headers)
            throw error
        case .success(let value): return value
        case .failure(let error): throw error
        }
    }

    private static let wrongResult = LinkViolation("a process answers another question")
    private static let crashed = HTTPError(
        .badGateway, code: "function_crashed", message: "The function's process ended before it had answered.")

    private static func unavailable(after pause: TimeAmount) -> HTTPError {
        let seconds = max(1, (pause.nanoseconds + 999_999_999) / 1_000_000_000)
        return HTTPError(
            .serviceUnavailable, code: "function_unavailable",
            message: "The function's process does not start; it is tried again.", headers: [.retryAfter: "\(seconds)"])
    }
}

extension LoadedFunction {
    /// A function that is called in processes of its own.
    init(_ name: String, _ manifest: FunctionManifest, _ relay: Relay) {
        let handler: ModuleEntry.Handler =
            switch manifest.trigger {
            case .http: .http { request, context in try await relay.http(request, context) }
            case .sse: .stream { request, events, context in try await relay.stream(request, events, context) }
            case .webSocket:
                .webSocket { request, upgrade, context in try await relay.webSocket(request, upgrade, context) }
            case .queue(_, .process): .queue { job, context in try await relay.job(job, context) }
            case .queue: .event { event, context in try await relay.notification(.event(event), context) }
            case .schedule: .schedule { tick, context in try await relay.notification(.tick(tick), context) }
            }
        self.init(name: name, manifest: manifest, handler: handler)
    }
}
