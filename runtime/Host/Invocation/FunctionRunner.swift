public import FunctionKit
internal import Logging
internal import NIOCore
internal import Synchronization

/// Runs one function within its limits: how many at once, how many wait, how long each may take, and where.
public final class FunctionRunner: Sendable {
    /// The function.
    public let function: LoadedFunction
    let gate: ConcurrencyGate
    private let services: InvocationServices
    private let isUncalled: Atomic<Bool>

    /// Makes the runner; one for each function of the process.
    ///
    /// - Parameters:
    ///   - function: The function.
    ///   - services: What all invocations share.
    ///   - earlier: The runner of the function's version before this one, whose places it shares: what runs there counts
    ///     until it ends.
    ///   - isCold: Whether the first invocation is the first one of the module in this process.
    public init(
        _ function: LoadedFunction, services: InvocationServices, after earlier: FunctionRunner? = nil,
        isCold: Bool = true
    ) {
        self.function = function
        self.services = services
        isUncalled = Atomic(isCold)
        let (limit, queueLimit) = (function.manifest.concurrency, function.manifest.queueLimit)
        gate =
            if let earlier {
                ConcurrencyGate(after: earlier.gate, limit: limit, queueLimit: queueLimit)
            } else {
                ConcurrencyGate(limit: limit, queueLimit: queueLimit)
            }
    }

    /// Whether the invocation that asks is the first one of a module in this process.
    func takeCold() -> Bool {
        isUncalled.load(ordering: .relaxed) && isUncalled.exchange(false, ordering: .relaxed)
    }

    /// How many invocations run, and how many wait. One whose time has ended runs until its handler returns.
    public var counts: (running: Int, waiting: Int) { gate.counts }

    /// Waits until no handler runs any more, also none whose caller has had its answer: one that was cancelled may still
    /// be cleaning up behind itself, and needs the stores for that.
    ///
    /// - Parameter limit: The longest wait, for handlers that heed no cancellation.
    /// - Returns: Whether all have ended.
    /// - Cancellation: ends the wait.
    public func waitUntilIdle(atMost limit: Duration) async -> Bool {
        let isIdle = OneShot<Bool>()
        let timer = services.loops.executor(for: function.name).eventLoop.scheduleTask(in: TimeAmount(limit)) {
            _ = isIdle.set(false)
        }
        gate.whenEmpty { isIdle.set(true) }
        let result = await withTaskCancellationHandler {
            await isIdle.value()
        } onCancel: {
            isIdle.set(false)
        }
        timer.cancel()
        return result
    }

    /// Gives up what still runs of a version that was replaced: its places go to the version after it.
    func writeOff() {
        let count = gate.writeOff()
        guard count > 0 else { return }
        services.logger.warning(
            "invocations of a replaced version go on past their timeout",
            metadata: ["function": "\(function.name)", "count": "\(count)"])
    }

    /// Runs one invocation of a queue's handler, waiting for a slot in order of arrival.
    ///
    /// The caller gets its answer in time also when the handler heeds no cancellation; the slot stays taken until the
    /// handler returns.
    ///
    /// - Parameters:
    ///   - requestID: The request's or job's id, for the context and the log.
    ///   - attempt: The job's attempt, from 1.
    ///   - traceParent: The trace context that came with the job.
    ///   - user: Who calls; the host itself, unless a call by hand stands for somebody's request.
    ///   - timeout: The time for waiting and running; the manifest's when `nil`.
    ///   - reportProgress: Takes the job's progress as JSON text.
    ///   - outlived: Called with `true` when the call ends before its handler, and with `false` when that handler has
    ///     ended; on any thread.
    ///   - body: Calls the handler.
    /// - Returns: What `body` returns.
    /// - Throws: ``InvocationError``.
    /// - Cancellation: throws ``InvocationError/cancelled`` at once; the handler's task is cancelled.
    public func run<Output: Sendable>(
        requestID: String, attempt: Int = 1, traceParent: String? = nil, user: User? = .local,
        timeout: Duration? = nil, reportProgress: (@Sendable (String) async throws -> Void)? = nil,
        outlived: @escaping @Sendable (Bool) -> Void = { _ in },
        _ body: @escaping @Sendable (Context) async throws -> Output
    ) async throws(InvocationError) -> Output {
        let timeout = timeout ?? function.manifest.timeout
        let calledAt = ContinuousClock.now
        let deadline = calledAt + timeout
        let loop = services.loops.executor(for: requestID)
        var begunAt: ContinuousClock.Instant?
        var isCold: Bool?
        let result: Result<Output, InvocationError>
        do throws(InvocationError) {
            try await enter(deadline: deadline, loop: loop.eventLoop)
            begunAt = .now
            isCold = takeCold()
            result = await invoke(
                requestID: requestID, deadline: deadline, loop: loop, attempt: attempt, traceParent: traceParent,
                user: user, reportProgress: reportProgress, outlived: outlived, body)
        } catch {
            result = .failure(error)
        }
        if let observe = services.observe {
            let now = ContinuousClock.now
            observe(
                InvocationReport(
                    function: function.name, requestID: requestID, outcome: .init(result), attempt: attempt,
                    waited: (begunAt ?? now) - calledAt, ran: now - (begunAt ?? now), isCold: isCold))
        }
        return try result.get()
    }

    /// Calls the handler of an invocation that has its slot.
    private func invoke<Output: Sendable>(
        requestID: String, deadline: ContinuousClock.Instant, loop: LoopExecutor, attempt: Int, traceParent: String?,
        user: User?, reportProgress: (@Sendable (String) async throws -> Void)?,
        outlived: @escaping @Sendable (Bool) -> Void,
        _ body: @escaping @Sendable (Context) async throws -> Output
    ) async -> Result<Output, InvocationError> {
        let context = makeContext(
            requestID: requestID, deadline: deadline, attempt: attempt, traceParent: traceParent, user: user,
            reportProgress: reportProgress)
        let end = InvocationEnd<Output>(outlived: outlived)
        // Owner: this call, which cancels it on timeout and cancellation; it ends when the handler returns.
        let task = Task(executorPreference: executor(on: loop, requestID: requestID, deadline: deadline)) {
            let result: Result<Output, InvocationError>
            do {
                // Whoever gave up while this waited for a thread needs no work done any more.
                try Task.checkCancellation()
                result = .success(try await body(context))
            } catch {
                result = .failure(.handler(error))
            }
            self.gate.leave()
            if !end.handlerEnded(result) { self.logLateEnd(context) }
        }
        let giveUp: @Sendable (InvocationError) -> Void = { failure in
            guard end.giveUp(failure) else { return }
            task.cancel()
            loop.eventLoop.scheduleTask(in: FunctionRunner.lateAfter) {
                if end.isOutlived { self.logStillRunning(context) }
            }
        }
        let timer = loop.eventLoop.scheduleTask(in: TimeAmount(deadline - .now)) { giveUp(.timedOut) }
        let result = await withTaskCancellationHandler {
            await end.outcome.value()
        } onCancel: {
            giveUp(.cancelled)
        }
        timer.cancel()
        return result
    }

    /// A handler that heeds its cancellation has ended by then.
    private static let lateAfter = TimeAmount.seconds(1)

    /// Takes a slot, waiting for it until the deadline.
    private func enter(deadline: ContinuousClock.Instant, loop: any EventLoop) async throws(InvocationError) {
        let entry = OneShot<InvocationError?>()
        switch gate.enter(granted: { { if !entry.set(nil) { self.gate.leave() } } }) {
        case .entered: return
        case .turnedAway: throw .saturated
        case .waiting(let ticket):
            let timer = loop.scheduleTask(in: TimeAmount(deadline - .now)) {
                // The handler was never called, so this is no time-out of its own.
                if entry.set(.saturated) { self.gate.cancel(ticket) }
            }
            let failure = await withTaskCancellationHandler {
                await entry.value()
            } onCancel: {
                if entry.set(.cancelled) { self.gate.cancel(ticket) }
            }
            timer.cancel()
            if let failure { throw failure }
        }
    }

    /// Starts the handler for a request whose slot is taken. On the loop's executor it starts before this returns.
    ///
    /// - Parameters:
    ///   - requestID: The request's id.
    ///   - deadline: When the caller stops waiting; the caller keeps watch and cancels the task.
    ///   - loop: The connection's loop.
    ///   - traceParent: The trace context that came with the request.
    ///   - user: Who calls.
    ///   - isLasting: Whether clients leave when they like, so that an end after cancellation is worth no line.
    ///   - body: Calls the handler.
    ///   - ended: Called once with the outcome, on any thread, after the slot is free again.
    /// - Returns: The handler's task.
    func start<Output: Sendable>(
        requestID: String, deadline: ContinuousClock.Instant, loop: LoopExecutor, traceParent: String?,
        user: User?, isLasting: Bool = false, _ body: @escaping @Sendable (Context) async throws -> Output,
        ended: @escaping @Sendable (Result<Output, any Error>) -> Void
    ) -> Task<Void, Never> {
        let context = makeContext(
            requestID: requestID, deadline: deadline, traceParent: traceParent, user: user)
        let operation: @Sendable () async -> Void = {
            let result: Result<Output, any Error>
            do {
                // A client that had its 504, or left, while this waited for a thread needs no work done any more.
                try Task.checkCancellation()
                result = .success(try await body(context))
            } catch {
                result = .failure(error)
            }
            self.gate.leave()
            if Task.isCancelled, !isLasting { self.logLateEnd(context) }
            ended(result)
        }
        // Owner: the connection, which cancels it; it ends when the handler returns.
        switch function.manifest.executor {
        case .loop:
            // The caller is on the loop, so the handler's first step needs no hop.
            return Task.immediate(executorPreference: loop) { await operation() }
        case .pool:
            let executor = executor(on: loop, requestID: requestID, deadline: deadline)
            return Task(executorPreference: executor) { await operation() }
        }
    }

    private func executor(
        on loop: LoopExecutor, requestID: String, deadline: ContinuousClock.Instant
    ) -> any TaskExecutor {
        switch function.manifest.executor {
        case .loop: loop
        case .pool:
            PoolExecutor(services.pool, function: function.name, requestID: requestID, deadline: deadline)
        }
    }

    private func makeContext(
        requestID: String, deadline: ContinuousClock.Instant, attempt: Int = 1, traceParent: String?,
        user: User?, reportProgress: (@Sendable (String) async throws -> Void)? = nil
    ) -> Context {
        let logger = Logger(label: services.logger.label) { _ in
            InvocationLogHandler(
                services.logger.handler, function: function.name, requestID: requestID, attempt: attempt)
        }
        return Context(
            logger: logger, function: function.name, requestID: requestID, deadline: deadline, attempt: attempt,
            traceParent: traceParent, user: user, bindings: services.bindings, reportProgress: reportProgress)
    }

    /// Logs what a call by hand failed with, where its answer does not tell all of it.
    func logFailure(_ error: any Error, requestID: String) {
        services.logger.error(
            "a handler failed",
            metadata: ["function": "\(function.name)", "request_id": "\(requestID)", "error": "\(error)"])
    }

    private func logStillRunning(_ context: Context) {
        context.logger.warning("a cancelled invocation goes on; its place is not used again until it ends")
    }

    private func logLateEnd(_ context: Context) {
        context.logger.notice(
            "a cancelled invocation has ended", metadata: ["past_deadline": "\(ContinuousClock.now - context.deadline)"]
        )
    }
}

extension InvocationReport.Outcome {
    fileprivate init<Output>(_ result: Result<Output, InvocationError>) {
        self =
            switch result {
            case .success: .completed
            case .failure(.handler): .failed
            case .failure(.timedOut): .timedOut
            case .failure(.cancelled): .cancelled
            case .failure(.saturated): .saturated
            }
    }
}
