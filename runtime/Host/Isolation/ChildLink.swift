internal import FunctionKit
internal import Logging
internal import NIOCore

/// The end of one link in a function's process: takes calls and runs them within the function's limits.
final class ChildLink: LinkOwner, @unchecked Sendable {
    // @unchecked: apart from the constants everything is touched on the loop only.

    let channel: LinkChannel
    private let executor: LoopExecutor
    private let index: Int
    private let receipts: LinkReceipts
    private let runner: FunctionRunner
    private let counter: CallCounter
    private let lost: @Sendable () -> Void
    private var calls: [UInt32: ChildCall] = [:]
    private var isDraining = false

    init(
        _ executor: LoopExecutor, index: Int, receipts: LinkReceipts, runner: FunctionRunner, counter: CallCounter,
        logger: Logger, lost: @escaping @Sendable () -> Void
    ) {
        self.executor = executor
        self.index = index
        self.receipts = receipts
        self.runner = runner
        self.counter = counter
        self.lost = lost
        let manifest = runner.function.manifest
        // A job's data has the queue's own bound, 16 MiB.
        let largest = max(manifest.maxBodyBytes, manifest.maxMessageBytes, 16 << 20)
        channel = LinkChannel(maxFrameBytes: largest + LinkFrame.maxHeadBytes, logger: logger)
    }

    var loop: any EventLoop { executor.eventLoop }

    func write(_ body: (inout ByteBuffer) -> Void) { channel.write(body) }

    /// Takes no more calls.
    func drain() {
        isDraining = true
        write { $0.writeFrame(.draining) }
    }

    /// Cancels what runs.
    func cancelAll() {
        for call in calls.values { call.cancel() }
    }

    func ended(_ call: ChildCall, _ result: Result<LinkResult.Value, any Error>) {
        calls[call.stream] = nil
        write { buffer in buffer.writeFrame(.end, call.stream) { LinkResult.write(result, into: &$0) } }
        counter.leave()
    }

    func linkClosed() {
        cancelAll()
        lost()
    }

    // MARK: - Frames

    func received(_ frame: LinkFrame) throws(LinkViolation) {
        switch frame.kind {
        case .request, .job, .event, .tick: try begin(frame)
        case .ping: write { $0.writeFrame(.pong) }
        default:
            // The other end may not know yet that the call has ended.
            if let call = calls[frame.stream] { try received(frame, of: call) }
        }
    }

    private func received(_ frame: LinkFrame, of call: ChildCall) throws(LinkViolation) {
        var payload = frame.payload
        switch frame.kind {
        case .cancel: call.cancel()
        case .credit: try call.credited(Int(try payload.readNumber(UInt32.self)))
        case .accepted: call.socket?.answered(.success(()))
        case .refused: call.socket?.answered(.failure(try LinkError.read(&payload)))
        case .message:
            for message in try LinkEvents.readMessages(payload) { try call.socket?.received(message) }
        case .socketClosed: call.socket?.close()
        default: throw LinkViolation("a frame for the other end")
        }
    }

    private func begin(_ frame: LinkFrame) throws(LinkViolation) {
        guard calls[frame.stream] == nil else { throw LinkViolation("a call that was begun before") }
        guard !isDraining else {
            write { $0.writeFrame(.turnedBack, frame.stream) }
            return
        }
        let given = try LinkCall(frame)
        let call = ChildCall(self, stream: frame.stream)
        calls[call.stream] = call
        counter.enter()
        receipts.take(index)
        switch (given.input, runner.function.handler) {
        case (.request(let request, _), .http(let handler)):
            start(call, given) { context in .response(try await handler(request, context)) }
        case (.request(let request, _), .stream(let handler)):
            let events = EventStream(ChildStream(call))
            start(call, given, isLasting: true) { context in
                try await handler(request, events, context)
                return .nothing
            }
        case (.request(let request, let protocols), .webSocket(let handler)):
            call.socket = ChildSocket.State()
            let upgrade = WebSocketUpgrade(ChildSocket(call), protocols: protocols)
            start(call, given, isLasting: true) { context in
                try await handler(request, upgrade, context)
                return .nothing
            }
        case (.job(let job), .queue(let handler)):
            run(call, given) { context in .text(try await handler(job, context)) }
        case (.event(let event), .event(let handler)):
            run(call, given) { context in
                try await handler(event, context)
                return .nothing
            }
        case (.tick(let tick), .schedule(let handler)):
            run(call, given) { context in
                try await handler(tick, context)
                return .nothing
            }
        default: throw LinkViolation("a call of another kind of function")
        }
    }

    // MARK: - Handlers

    /// Runs a request's handler. The supervisor keeps the limit and the deadline, and says when nobody waits any more.
    private func start(
        _ call: ChildCall, _ given: LinkCall, isLasting: Bool = false,
        _ body: @escaping @Sendable (Context) async throws -> LinkResult.Value
    ) {
        guard case .entered = runner.gate.enter(granted: { {} }) else {
            return call.end(.failure(ErrorResponse.saturated))
        }
        let task = runner.start(
            requestID: given.requestID, deadline: .now + given.remaining, loop: executor,
            traceParent: given.traceParent, user: given.user, isLasting: isLasting, body
        ) { result in
            call.endAnywhere(result)
        }
        call.keep(task)
    }

    /// Runs a handler of a queue's or a schedule's, which shares the function's places with the process's own worker.
    private func run(
        _ call: ChildCall, _ given: LinkCall,
        _ body: @escaping @Sendable (Context) async throws -> LinkResult.Value
    ) {
        let runner = runner
        // Owner: the call, which cancels it; it ends with the invocation.
        let task = Task(executorPreference: executor) {
            do throws(InvocationError) {
                let value = try await runner.run(
                    requestID: given.requestID, attempt: given.attempt, traceParent: given.traceParent,
                    timeout: given.remaining,
                    reportProgress: { json in try await call.send(.progress) { $0.writeText(json) } }, body)
                call.endAnywhere(.success(value))
            } catch {
                switch error {
                case .handler(let failure): call.endAnywhere(.failure(failure))
                case .saturated: call.endAnywhere(.failure(ErrorResponse.saturated))
                case .timedOut, .cancelled: call.endAnywhere(.failure(CancellationError()))
                }
            }
        }
        call.keep(task)
    }
}

extension ChildCall {
    /// Ends the call from any thread.
    func endAnywhere(_ result: Result<LinkResult.Value, any Error>) {
        if link.loop.inEventLoop { end(result) } else { link.loop.execute { self.end(result) } }
    }
}
