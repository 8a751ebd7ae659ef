internal import BullQueue
internal import FunctionKit
internal import NIOCore

/// One invocation as it was: the form of a fixture, with what came of it under `expect`.
struct Recording: Sendable {
    /// What the function was called with.
    enum Input: Sendable {
        case request(Request)
        case job(QueueJob<String>)
        case event(QueueEvent)
        case tick(ScheduledTick)
    }

    /// What came of it.
    enum Outcome: Sendable {
        case response(Response)
        case events(RecordedStream.Transcript, (any Error)?)
        case messages(RecordedConversation.Transcript, (any Error)?)
        case returned(String?)
        case failed(any Error)
        /// It was cancelled: by its timeout, its client or the end of the process.
        case cancelled
    }

    let function: LoadedFunction
    let requestID: String
    let at: Timestamp
    let time: Duration
    let input: Input
    let outcome: Outcome

    /// Makes the fixture.
    ///
    /// - Parameters:
    ///   - id: The recording's own id.
    ///   - redaction: Takes the secrets out.
    /// - Returns: The fixture.
    func json(id: String, _ redaction: Redaction) -> PositionedJSON {
        var members: [(String, PositionedJSON.Value?)]
        switch input {
        case .request(let request): members = requestMembers(request, redaction) + clientMembers(redaction)
        case .job(let job):
            members = [
                ("queue", .string(job.queue)), ("name", .string(job.name)), ("id", .string(job.id)),
                ("data", Self.value(job.payload, redaction)), ("attempt", PositionedJSON.number(job.attempt)),
                ("maxAttempts", PositionedJSON.number(job.maxAttempts)),
            ]
        case .event(let event):
            let data = event.kind == .failed ? .string(redaction.text(event.data)) : Self.value(event.data, redaction)
            members = [
                ("kind", .string(event.kind.rawValue)), ("queue", .string(event.queue)),
                ("jobId", .string(event.jobID)), ("data", data), ("at", .string(event.at.rfc3339)),
            ]
        case .tick(let tick):
            members = [
                ("at", .string(tick.at.rfc3339)), ("attempt", PositionedJSON.number(tick.attempt)),
                ("maxAttempts", PositionedJSON.number(tick.maxAttempts)),
            ]
        }
        if let expected = expected(redaction) { members.append(("expect", PositionedJSON(object: expected).value)) }
        members.append(
            (
                "recorded",
                PositionedJSON(object: [
                    ("id", .string(id)), ("function", .string(function.name)), ("at", .string(at.rfc3339)),
                    ("ranMs", PositionedJSON.number(Int(time / .milliseconds(1)))), ("requestId", .string(requestID)),
                ]).value
            ))
        return PositionedJSON(object: members)
    }

    private func expected(_ redaction: Redaction) -> [(String, PositionedJSON.Value?)]? {
        switch outcome {
        case .response(let response): return Self.responseMembers(response, redaction)
        case .events(let transcript, let error): return expected(transcript, error, redaction)
        case .messages(let transcript, let error): return expected(transcript, error, redaction)
        case .returned(let value):
            return [("outcome", .string("completed")), ("returnValue", value.map { Self.value($0, redaction) })]
        case .failed(let error):
            if case .request = input { return Self.failureMembers(error, redaction) }
            return attemptMembers(error, redaction)
        case .cancelled: return nil
        }
    }

    private func attemptMembers(_ error: any Error, _ redaction: Redaction) -> [(String, PositionedJSON.Value?)] {
        let failure = InvocationError.handler(error)
        let (reason, retry) = failure.attemptFailure(timeout: function.manifest.timeout)
        let isLast =
            switch input {
            case .job(let job): job.attempt >= job.maxAttempts
            case .tick(let tick): tick.attempt >= tick.maxAttempts
            case .event, .request: true
            }
        var delay: PositionedJSON.Value?
        if !isLast, case .after(let time) = retry { delay = PositionedJSON.number(Int(time / .milliseconds(1))) }
        return [
            ("outcome", .string(isLast || retry == .never ? "failed" : "retry")),
            ("reason", .string(redaction.text(reason))), ("class", .string(failure.errorClass.rawValue)),
            ("retryAfterMs", delay),
        ]
    }

    /// A JSON text as a value; another text as it is.
    static func value(_ text: String, _ redaction: Redaction) -> PositionedJSON.Value {
        guard let json = try? PositionedJSON.parse(Array(text.utf8)) else { return .string(redaction.text(text)) }
        return redaction.json(json).value
    }

    /// A text that holds an object or an array as JSON, another text as it is: what a fixture compares as the same.
    static func content(_ text: String, _ redaction: Redaction) -> PositionedJSON.Value {
        guard let json = try? PositionedJSON.parse(Array(text.utf8)), json.members != nil || json.elements != nil else {
            return .string(redaction.text(text))
        }
        return redaction.json(json).value
    }
}
