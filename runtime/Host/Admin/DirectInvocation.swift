internal import BullQueue
internal import FoundationEssentials
internal import FunctionKit
internal import NIOCore

/// One call of a function by hand: within the limits of the real trigger, without the trigger.
struct DirectInvocation: Sendable {
    let runner: FunctionRunner
    let requestID: String

    /// The most reports of progress that are told.
    private static let progressLimit = 1000

    /// Calls the function.
    ///
    /// - Returns: What came of it, as JSON.
    /// - Throws: `HTTPError` 503 when the function is saturated, and 504 when a request ran past its timeout.
    /// - Cancellation: cancels the handler's task.
    func run(_ input: InvocationInput) async throws -> Response {
        switch (input, runner.function.handler) {
        case (.request(let request), .http(let handler)):
            guard request.body.readableBytes <= runner.function.manifest.maxBodyBytes else {
                return Self.answer(ErrorResponse.response(ErrorResponse.bodyTooLarge, requestID: requestID))
            }
            return try await answer(to: request) { context in Self.answer(try await handler(request, context)) }
        case (.stream(let request, let limit, let time), .stream(let handler)):
            return try await stream(request, limit: limit, time: time, handler)
        case (.socket(let request, let script), .webSocket(let handler)):
            return try await socket(request, script, handler)
        case (.job(let job), .queue(let handler)):
            return try await attempt(job.attempt, of: job.maxAttempts) { try await handler(job, $0) }
        case (.event(let event), .event(let handler)):
            return try await attempt(1, of: 1) { context in
                try await handler(event, context)
                return nil
            }
        case (.tick(let tick), .schedule(let handler)):
            return try await attempt(tick.attempt, of: tick.maxAttempts) { context in
                try await handler(tick, context)
                return nil
            }
        default: throw ErrorResponse.internalError
        }
    }

    /// Runs what answers a request; what a handler throws becomes the answer that its client would see.
    private func answer(
        to request: Request, _ body: @escaping @Sendable (Context) async throws -> Response
    ) async throws -> Response {
        do {
            return try await runner.run(requestID: requestID, user: request.user, body)
        } catch {
            guard case .handler(let failure) = error else { throw Self.status(of: error) }
            let (answer, isInternal) = ErrorResponse.make(for: failure)
            if isInternal { runner.logFailure(failure, requestID: requestID) }
            return Self.answer(ErrorResponse.response(answer, requestID: requestID))
        }
    }

    private func stream(
        _ request: Request, limit: Int, time: Duration,
        _ handler: @escaping @Sendable (Request, EventStream, Context) async throws -> Void
    ) async throws -> Response {
        let events = RecordedEvents(limit: limit)
        let stream = EventStream(events)
        let limits = min(time, runner.function.manifest.timeout)
        let ended: String
        do {
            try await runner.run(requestID: requestID, user: request.user, timeout: limits) { context in
                try await handler(request, stream, context)
            }
            ended = events.isFull ? "limit" : "returned"
        } catch {
            switch error {
            case .timedOut: ended = "time"
            case .handler where events.isFull: ended = "limit"
            case .handler(let failure) where !events.isOpen:
                let (answer, isInternal) = ErrorResponse.make(for: failure)
                if isInternal { runner.logFailure(failure, requestID: requestID) }
                return Self.answer(ErrorResponse.response(answer, requestID: requestID))
            case .handler(let failure):
                runner.logFailure(failure, requestID: requestID)
                ended = "failed"
            case .saturated, .cancelled: throw Self.status(of: error)
            }
        }
        return events.answer(ended: ended)
    }

    private func attempt(
        _ attempt: Int, of most: Int, _ body: @escaping @Sendable (Context) async throws -> String?
    ) async throws -> Response {
        let progress = ProgressReports(limit: Self.progressLimit)
        var json = JSONWriter()
        do {
            let value = try await runner.run(
                requestID: requestID, attempt: attempt, reportProgress: { progress.add($0) }, body)
            json.object { json in
                json.key("outcome")
                json.value("completed")
                if let value {
                    json.key("returnValue")
                    json.raw(value)
                }
                progress.write(to: &json)
            }
        } catch {
            switch error {
            case .saturated, .cancelled: throw Self.status(of: error)
            case .timedOut, .handler: break
            }
            let (reason, retry) = error.attemptFailure(timeout: runner.function.manifest.timeout)
            runner.logFailure(error, requestID: requestID)
            let isLast = retry == .never || attempt >= most
            json.object { json in
                json.key("outcome")
                json.value(isLast ? "failed" : "retry")
                json.key("reason")
                json.value(reason)
                json.key("class")
                json.value(error.errorClass.rawValue)
                if !isLast, case .after(let delay) = retry {
                    json.key("retryAfterMs")
                    json.value(Int(delay / .milliseconds(1)))
                }
                progress.write(to: &json)
            }
        }
        return .json(encoded: json.buffer)
    }

    /// What callers get when no handler's outcome is to be told.
    static func status(of error: InvocationError) -> HTTPError {
        switch error {
        case .saturated: ErrorResponse.saturated
        case .timedOut: ErrorResponse.timedOut
        case .cancelled, .handler: ErrorResponse.internalError
        }
    }

    /// The answer to a request, as JSON.
    static func answer(_ response: Response) -> Response {
        var json = JSONWriter(capacity: response.body.readableBytes + 256)
        json.object { json in
            json.key("status")
            json.value(response.status.code)
            json.key("headers")
            json.object { json in
                var names: Set<String> = []
                for field in response.headers where names.insert(field.name.canonicalName).inserted {
                    json.key(escaping: field.name.canonicalName)
                    json.value(response.headers[field.name])
                }
            }
            let bytes = response.body.readableBytesView
            if let text = String(validating: bytes, as: UTF8.self) {
                json.key("body")
                json.value(text)
            } else {
                json.key("bodyBase64")
                json.value(Data(bytes).base64EncodedString())
            }
        }
        return .json(encoded: json.buffer)
    }
}
