/// What a module hands to the host: its handler, with the author's types erased.
///
/// The generated entry point of a module returns one, retained. Authors never see it.
public final class ModuleEntry: Sendable {
    /// The handler by its kind of trigger. Jobs carry their `data` as JSON text, results go back as JSON text.
    public enum Handler: Sendable {
        /// Answers a request.
        case http(@Sendable (Request, Context) async throws -> Response)
        /// Answers a request with events.
        case stream(@Sendable (Request, EventStream, Context) async throws -> Void)
        /// Answers a request with a socket.
        case webSocket(@Sendable (Request, WebSocketUpgrade, Context) async throws -> Void)
        /// Works a job.
        case queue(@Sendable (QueueJob<String>, Context) async throws -> String)
        /// Handles a queue's event.
        case event(@Sendable (QueueEvent, Context) async throws -> Void)
        /// Runs at a schedule's tick.
        case schedule(@Sendable (ScheduledTick, Context) async throws -> Void)
    }

    /// The handler.
    public let handler: Handler

    /// Wraps a raw HTTP handler.
    public init<Function: HTTPFunction>(http type: Function.Type) {
        let function = Function()
        handler = .http { request, context in try await function.handle(request, context) }
    }

    /// Wraps a typed HTTP handler.
    public init<Function: TypedHTTPFunction>(http type: Function.Type) {
        let function = Function()
        handler = .http { request, context in
            let input = try request.decode(Function.Input.self)
            return try .json(try await function.handle(input, request, context))
        }
    }

    /// Wraps a handler of CloudEvents, which behind this is one of requests.
    public init<Function: CloudEventFunction>(cloudEvents type: Function.Type) {
        let function = Function()
        handler = .http { request, context in
            let mode = try CloudEventMode(request)
            let event = try CloudEvent.read(request, mode)
            guard let answer = try await function.handle(event, request, context) else { return Response(.noContent) }
            return try answer.response(mode)
        }
    }

    /// Wraps a handler of event streams.
    public init<Function: StreamFunction>(stream type: Function.Type) {
        let function = Function()
        handler = .stream { request, events, context in try await function.stream(request, events, context) }
    }

    /// Wraps a handler of sockets.
    public init<Function: WebSocketFunction>(webSocket type: Function.Type) {
        let function = Function()
        handler = .webSocket { request, upgrade, context in try await function.handle(request, upgrade, context) }
    }

    /// Wraps a queue handler.
    public init<Function: QueueFunction>(queue type: Function.Type) {
        let function = Function()
        handler = .queue { job, context in
            let payload: Function.Payload
            do {
                payload = try JSON.decode(Function.Payload.self, from: job.payload)
            } catch let error as HTTPError {
                let problems = error.details.map { "\($0.field) \($0.problem)" }.joined(separator: "; ")
                throw Permanent(
                    "The job's data is not valid: \(problems.isEmpty ? error.message : problems)", class: .validation)
            }
            return try JSON.text(try await function.process(job.map(payload), context))
        }
    }

    /// Wraps an event handler.
    public init<Function: EventFunction>(event type: Function.Type) {
        let function = Function()
        handler = .event { event, context in try await function.handle(event, context) }
    }

    /// Wraps a scheduled handler.
    public init<Function: ScheduledFunction>(schedule type: Function.Type) {
        let function = Function()
        handler = .schedule { tick, context in try await function.run(tick, context) }
    }

    /// The form in which the entry crosses `dlopen`: retained once, taken back by the host.
    public func retained() -> UnsafeMutableRawPointer {
        Unmanaged.passRetained(self).toOpaque()
    }

    /// Takes an entry over from ``retained()``.
    package static func takeRetained(_ pointer: UnsafeMutableRawPointer) -> ModuleEntry {
        Unmanaged<ModuleEntry>.fromOpaque(pointer).takeRetainedValue()
    }
}
