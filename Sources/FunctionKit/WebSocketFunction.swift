/// A handler for WebSocket connections (the manifest's `"websocket"`), RFC 6455.
///
/// The host does the handshake, the framing, pings, compression (RFC 7692) and the closing handshake.
///
/// ```swift
/// import FunctionKit
///
/// struct Echo: WebSocketFunction {
///     func handle(_ request: Request, _ upgrade: WebSocketUpgrade, _ context: Context) async throws {
///         let socket = try await upgrade.accept()
///         for try await message in socket { try await socket.send(message) }
///     }
/// }
/// ```
public protocol WebSocketFunction: Sendable {
    /// Makes the handler. Called once, when the module is loaded; it must not do work.
    init()

    /// Handles one client, from its request to the end of its socket.
    ///
    /// Until ``WebSocketUpgrade/accept(protocol:)`` it is a request like any other: an error thrown until then is the
    /// answer. After that, returning closes the socket with code 1000, and an error is logged and closes it with 1011.
    ///
    /// - Parameters:
    ///   - request: The request that asks for the upgrade. The host has checked the handshake and the `Origin`.
    ///   - upgrade: Makes the connection a socket.
    ///   - context: What the host lends for this invocation; its deadline is the longest life of the socket.
    /// - Throws: Any error, see above.
    /// - Cancellation: the task is cancelled when the socket has closed, whoever closed it, at the deadline (close code
    ///   1001) and at shutdown (close code 1012).
    func handle(_ request: Request, _ upgrade: WebSocketUpgrade, _ context: Context) async throws
}

/// A client's wish for a socket, granted once.
public struct WebSocketUpgrade: Sendable {
    /// What is behind an upgrade: a client's connection in the host, anything in a test.
    public protocol Connection: AnyObject, Sendable {
        /// Answers 101; at most once.
        func accept(protocol: String?) async throws -> WebSocket
    }

    /// The sub-protocols that the client offers, the one that it likes best first.
    public let protocols: [String]
    private let connection: any Connection

    /// Wraps a connection; the host does so for each invocation, tests may.
    public init(_ connection: any Connection, protocols: [String] = []) {
        self.connection = connection
        self.protocols = protocols
    }

    /// Answers 101 and makes the connection a socket. Called once.
    ///
    /// - Parameter protocol: The sub-protocol to use, one of ``protocols``, or `nil` for none.
    /// - Returns: The socket.
    /// - Throws: `CancellationError` when the client has gone; ``HTTPError`` 500 when the sub-protocol was not offered or
    ///   the upgrade was accepted before, 503 while the process shuts down.
    public func accept(protocol: String? = nil) async throws -> WebSocket {
        try await connection.accept(protocol: `protocol`)
    }
}

/// A message of a socket.
public struct WebSocketMessage: Sendable, Hashable {
    /// The two kinds of message.
    public enum Kind: Sendable, Hashable {
        /// UTF-8, which has been checked when it came from a client.
        case text
        /// Bytes.
        case binary
    }

    /// The kind.
    public var kind: Kind
    /// The whole payload, decompressed.
    public var payload: ByteBuffer

    /// Makes a message. A text's payload must be UTF-8.
    public init(_ kind: Kind, _ payload: ByteBuffer) {
        self.kind = kind
        self.payload = payload
    }

    /// A text message.
    public static func text(_ text: String) -> WebSocketMessage { WebSocketMessage(.text, ByteBuffer(string: text)) }

    /// A binary message.
    public static func binary(_ payload: ByteBuffer) -> WebSocketMessage { WebSocketMessage(.binary, payload) }

    /// The payload as text.
    public var string: String { String(buffer: payload) }
}

/// A code that says why a socket closes (RFC 6455 section 7.4).
public struct WebSocketCloseCode: RawRepresentable, Sendable, Hashable {
    /// The number, 1000 to 4999.
    public let rawValue: UInt16

    /// Makes a code.
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// All is done.
    public static let normal = WebSocketCloseCode(rawValue: 1000)
    /// The process or the time of this socket ends.
    public static let goingAway = WebSocketCloseCode(rawValue: 1001)
    /// A frame breaks the protocol.
    public static let protocolError = WebSocketCloseCode(rawValue: 1002)
    /// A kind of message that is not handled.
    public static let unsupportedData = WebSocketCloseCode(rawValue: 1003)
    /// Text that is no UTF-8.
    public static let invalidPayload = WebSocketCloseCode(rawValue: 1007)
    /// The client may not do that.
    public static let policyViolation = WebSocketCloseCode(rawValue: 1008)
    /// A message is larger than the manifest's `maxMessage`.
    public static let messageTooBig = WebSocketCloseCode(rawValue: 1009)
    /// The handler failed.
    public static let internalError = WebSocketCloseCode(rawValue: 1011)
    /// The client's token has ended (IANA, WebSocket Close Code Number Registry); it needs a new one to come back.
    public static let unauthorized = WebSocketCloseCode(rawValue: 3000)
    /// The process restarts; come back, here or elsewhere.
    public static let serviceRestart = WebSocketCloseCode(rawValue: 1012)
}

/// A client's socket. One task reads it, any may send.
public struct WebSocket: Sendable, AsyncSequence {
    /// What is behind a socket: a client's connection in the host, anything in a test.
    public protocol Connection: AnyObject, Sendable {
        /// The next message; see ``WebSocket/AsyncIterator/next()``.
        func receive() async throws -> WebSocketMessage?
        /// Sends messages in this order; see ``WebSocket/send(_:)-(WebSocketMessage)``.
        func send(_ messages: [WebSocketMessage]) async throws
        /// Begins the closing handshake; see ``WebSocket/close(_:reason:)``.
        func close(_ code: WebSocketCloseCode, reason: String) async
    }

    /// Reads a socket.
    public struct AsyncIterator: AsyncIteratorProtocol {
        let connection: any Connection

        /// The next message, complete; `nil` once the socket is closed in order or lost.
        ///
        /// While nobody asks, one message is kept and then the client is not read: it is slowed down.
        ///
        /// - Throws: `CancellationError` when the task is cancelled.
        public mutating func next() async throws -> WebSocketMessage? { try await connection.receive() }
    }

    private let connection: any Connection

    /// Wraps a connection; the host does so for each socket, tests may.
    public init(_ connection: any Connection) {
        self.connection = connection
    }

    /// Reads the messages; one reader at a time.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(connection: connection) }

    /// Sends a message and waits until the client takes more: what a slow client has not taken is at most this message
    /// and a few kilobytes, so a handler that has something newer by then can send that instead.
    ///
    /// - Throws: `CancellationError` when the socket has closed.
    /// - Cancellation: the wait ends with `CancellationError`; the message may have been sent.
    public func send(_ message: WebSocketMessage) async throws { try await connection.send([message]) }

    /// Sends several messages in one go, as ``send(_:)-(WebSocketMessage)`` does one.
    public func send(_ messages: [WebSocketMessage]) async throws { try await connection.send(messages) }

    /// Closes the socket: what was sent goes out first, then the close frame; the client has a bounded time to answer.
    ///
    /// - Parameters:
    ///   - code: Why, ``WebSocketCloseCode/normal`` or one of the application's own, 3000 to 4999.
    ///   - reason: Up to 123 bytes of UTF-8; what is longer is cut at a character.
    public func close(_ code: WebSocketCloseCode = .normal, reason: String = "") async {
        await connection.close(code, reason: reason)
    }
}
