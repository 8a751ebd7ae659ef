internal import AsyncHTTPClient
internal import NIOCore
internal import NIOHTTP1
internal import Synchronization

/// One request and its response, between the HTTP client's callbacks and one waiting task.
///
/// At most ``maximumBufferedBytes`` and one chunk of the body are kept; then the connection is no longer read. One timer
/// an exchange watches for progress while, and only while, a task waits: a slow consumer is not the store's fault.
final class S3Exchange: HTTPClientResponseDelegate, Sendable {
    typealias Response = Void

    /// Bytes of the body that are read ahead.
    static let maximumBufferedBytes = 256 << 10

    private struct State {
        var task: HTTPClient.Task<Void>?
        var head: HTTPResponseHead?
        var chunks = CircularBuffer<ByteBuffer>()
        var bufferedBytes = 0
        /// Completed when more of the body may come.
        var demand: EventLoopPromise<Void>?
        var end: Result<Void, any Error>?
        var waiter: CheckedContinuation<Void, Never>?
        /// When the wait began, or when bytes of the request were last accepted.
        var progressAt = NIODeadline.now()
        var timer: Scheduled<Void>?
    }

    private let state = Mutex(State())
    private let timeout: TimeAmount

    init(timeout: Duration) { self.timeout = TimeAmount(timeout) }

    /// Sends the request.
    func start(_ request: HTTPClient.Request, on client: HTTPClient) {
        let task = client.execute(request: request, delegate: self)
        let isOver = state.withLock { state in
            state.task = task
            if state.end == nil { state.timer = schedule(after: timeout, on: task.eventLoop) }
            return state.end != nil
        }
        // A request that never reaches a connection fails without a callback.
        task.futureResult.whenFailure { self.finish(.failure($0)) }
        if isOver { task.cancel() }
    }

    /// The response's head.
    func head() async throws -> HTTPResponseHead {
        while true {
            let outcome = state.withLock { state -> Result<HTTPResponseHead, any Error>? in
                if let head = state.head { return .success(head) }
                if case .failure(let error)? = state.end { return .failure(error) }
                return nil
            }
            if let outcome { return try outcome.get() }
            await change { $0.head != nil }
        }
    }

    /// The next chunk of the body, or `nil` at its end.
    func next() async throws -> ByteBuffer? {
        while true {
            let (chunk, end, demand) = state.withLock {
                state -> (ByteBuffer?, Result<Void, any Error>?, EventLoopPromise<Void>?) in
                guard let chunk = state.chunks.popFirst() else { return (nil, state.end, nil) }
                state.bufferedBytes -= chunk.readableBytes
                guard state.bufferedBytes < S3Exchange.maximumBufferedBytes else { return (chunk, nil, nil) }
                return (chunk, nil, state.demand.take())
            }
            demand?.succeed()
            if let chunk { return chunk }
            if let end {
                try end.get()
                return nil
            }
            await change { !$0.chunks.isEmpty }
        }
    }

    /// The whole body.
    ///
    /// - Throws: ``S3Error`` with code `.invalidResponse` when it is longer than the limit.
    func collect(upTo limit: Int) async throws -> ByteBuffer {
        var body = ByteBuffer()
        while var chunk = try await next() {
            guard body.readableBytes + chunk.readableBytes <= limit else {
                abandon()
                throw S3Error(.invalidResponse, "the store's answer is too long")
            }
            body.writeBuffer(&chunk)
        }
        return body
    }

    /// Gives the exchange up; closes the connection unless the response has come in whole.
    func abandon() { finish(.failure(CancellationError()), discarding: true)?.cancel() }

    // MARK: - Waiting

    /// Waits until something has changed; returns at once when the condition is met or the exchange is over.
    private func change(_ isMet: @Sendable @escaping (borrowing State) -> Bool) async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isReady = state.withLock { state in
                    if state.end != nil || isMet(state) { return true }
                    precondition(state.waiter == nil, "one task at a time reads a response")
                    state.waiter = continuation
                    state.progressAt = .now()
                    return false
                }
                if isReady { continuation.resume() }
            }
        } onCancel: {
            abandon()
        }
    }

    private func schedule(after delay: TimeAmount, on eventLoop: any EventLoop) -> Scheduled<Void> {
        eventLoop.scheduleTask(in: delay) { self.checkProgress(on: eventLoop) }
    }

    private func checkProgress(on eventLoop: any EventLoop) {
        let isStuck = state.withLock { state in
            guard state.end == nil else { return false }
            let remaining = state.waiter == nil ? timeout : state.progressAt + timeout - .now()
            guard remaining > .zero else { return true }
            state.timer = schedule(after: remaining, on: eventLoop)
            return false
        }
        if isStuck { finish(.failure(S3Error(.timeout, "no progress within the timeout")))?.cancel() }
    }

    /// Ends the exchange once.
    ///
    /// - Returns: The HTTP client's task when the exchange was not over before.
    @discardableResult
    private func finish(_ end: Result<Void, any Error>, discarding: Bool = false) -> HTTPClient.Task<Void>? {
        let (isFirst, task, waiter, demand, timer) = state.withLock { state in
            let isFirst = state.end == nil
            if isFirst || (discarding && !state.chunks.isEmpty) { state.end = end }
            if discarding { state.chunks.removeAll() }
            return (isFirst, state.task, state.waiter.take(), state.demand.take(), state.timer.take())
        }
        timer?.cancel()
        demand?.succeed()
        waiter?.resume()
        return isFirst ? task : nil
    }

    // MARK: - HTTPClientResponseDelegate

    func didSendRequestPart(task: HTTPClient.Task<Void>, _ part: IOData) {
        state.withLock { $0.progressAt = .now() }
    }

    func didReceiveHead(task: HTTPClient.Task<Void>, _ head: HTTPResponseHead) -> EventLoopFuture<Void> {
        let waiter = state.withLock { state in
            state.head = head
            return state.waiter.take()
        }
        waiter?.resume()
        return task.eventLoop.makeSucceededVoidFuture()
    }

    func didReceiveBodyPart(task: HTTPClient.Task<Void>, _ buffer: ByteBuffer) -> EventLoopFuture<Void> {
        let (waiter, demand) = state.withLock { state in
            guard state.end == nil else {
                return (nil as CheckedContinuation<Void, Never>?, nil as EventLoopPromise<Void>?)
            }
            state.chunks.append(buffer)
            state.bufferedBytes += buffer.readableBytes
            if state.bufferedBytes >= S3Exchange.maximumBufferedBytes {
                state.demand = task.eventLoop.makePromise(of: Void.self)
            }
            return (state.waiter.take(), state.demand)
        }
        waiter?.resume()
        return demand?.futureResult ?? task.eventLoop.makeSucceededVoidFuture()
    }

    func didReceiveError(task: HTTPClient.Task<Void>, _ error: any Error) { finish(.failure(error)) }

    func didFinishRequest(task: HTTPClient.Task<Void>) { finish(.success(())) }
}
