/// A handler that answers a request with server-sent events (the manifest's `"sse"`).
///
/// The host does the framing, sends a comment when nothing else was sent for a while, and keeps the connection; the
/// handler sends events until it returns.
///
/// ```swift
/// import FunctionKit
///
/// struct Clock: StreamFunction {
///     func stream(_ request: Request, _ events: EventStream, _ context: Context) async throws {
///         while true {
///             try await events.send(ServerSentEvent("\(Timestamp.now)"))
///             try await Task.sleep(for: .seconds(1))
///         }
///     }
/// }
/// ```
public protocol StreamFunction: Sendable {
    /// Makes the handler. Called once, when the module is loaded; it must not do work.
    init()

    /// Follows one request with events.
    ///
    /// Nothing goes out before the first ``EventStream/send(_:)`` or ``EventStream/open()``. An error thrown until then
    /// is the answer, as of an ``HTTPFunction``; returning until then is 204, which tells an `EventSource` to stay away.
    /// After that, returning ends the stream in order, and an error is logged and cuts it, so that the client comes back.
    ///
    /// - Parameters:
    ///   - request: The request; ``Request/lastEventID`` says where its client left off.
    ///   - events: Takes the events.
    ///   - context: What the host lends for this invocation; its deadline is the longest life of the stream.
    /// - Throws: Any error, see above.
    /// - Cancellation: the task is cancelled when the client has gone or takes nothing, at the deadline, and at shutdown.
    func stream(_ request: Request, _ events: EventStream, _ context: Context) async throws
}

/// One event of a stream (WHATWG HTML, section 9.2).
public struct ServerSentEvent: Sendable, Hashable {
    /// The event's type, without line breaks; `message` for the client when `nil`.
    public var name: String?
    /// What a client that comes back gives as `Last-Event-ID`, without line breaks and NUL; the last one stays when `nil`.
    public var id: String?
    /// The data, UTF-8; its lines may end in LF, CR or CR LF, and reach the client with LF between them.
    public var data: ByteBuffer
    /// How long the client waits before it comes back, in milliseconds for the client; as before when `nil`.
    public var retry: Duration?

    /// Makes an event.
    public init(_ data: String, name: String? = nil, id: String? = nil, retry: Duration? = nil) {
        self.init(data: ByteBuffer(string: data), name: name, id: id, retry: retry)
    }

    /// Makes an event of encoded data.
    public init(data: ByteBuffer, name: String? = nil, id: String? = nil, retry: Duration? = nil) {
        self.name = name
        self.id = id
        self.data = data
        self.retry = retry
    }
}

/// Takes the events of one ``StreamFunction`` invocation; not valid after it.
public struct EventStream: Sendable {
    /// What is behind a stream: a client's connection in the host, anything in a test.
    public protocol Sink: AnyObject, Sendable {
        /// Sends the head of the answer, unless it was sent.
        func open() async throws
        /// Sends events in this order; see ``EventStream/send(_:)-(ServerSentEvent)``.
        func send(_ events: [ServerSentEvent]) async throws
    }

    private let sink: any Sink

    /// Wraps a sink; the host does so for each invocation, tests may.
    public init(_ sink: any Sink) {
        self.sink = sink
    }

    /// Sends the head of the answer although there is no event yet: the client then knows that it is connected.
    ///
    /// - Throws: `CancellationError` when the stream has ended.
    public func open() async throws { try await sink.open() }

    /// Sends an event and waits until the client takes more: what a slow client has not taken is at most this event and
    /// a few kilobytes, so a handler that has something newer by then can send that instead.
    ///
    /// - Throws: `CancellationError` when the stream has ended; `HTTPError` 500 when name or id hold what they must not.
    /// - Cancellation: the wait ends with `CancellationError`; the event may have been sent.
    public func send(_ event: ServerSentEvent) async throws { try await sink.send([event]) }

    /// Sends several events in one go, as ``send(_:)-(ServerSentEvent)`` does one.
    public func send(_ events: [ServerSentEvent]) async throws { try await sink.send(events) }
}

extension Request {
    /// The id of the last event that a returning client has seen, from `Last-Event-ID`, or `nil`.
    public var lastEventID: String? {
        guard let name = HTTPField.Name("Last-Event-ID") else { return nil }
        return headers[name]
    }
}
