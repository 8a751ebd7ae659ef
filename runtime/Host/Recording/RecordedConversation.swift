internal import FoundationEssentials
internal import FunctionKit
internal import NIOCore
internal import Synchronization

/// Stands between a function and its client's socket, and keeps the first messages of both sides.
final class RecordedConversation: WebSocketUpgrade.Connection, WebSocket.Connection {
    /// What was said.
    struct Transcript: Sendable {
        var received: [WebSocketMessage] = []
        var sent: [WebSocketMessage] = []
        var isAccepted = false
        var chosen: String?
        /// How the function closed the socket.
        var close: WebSocketClose?
        /// Whether the function has seen the socket's end.
        var hasEnded = false
        /// Whether the function sent while it waited for its client.
        var isPushed = false
        /// Whether more was said than was kept.
        var isCut = false
        fileprivate var bytes = 0
        fileprivate var isReading = false
        fileprivate var socket: WebSocket?
    }

    private let upgrade: WebSocketUpgrade
    private let byteLimit: Int
    private let state = Mutex(Transcript())

    init(_ upgrade: WebSocketUpgrade, byteLimit: Int) {
        self.upgrade = upgrade
        self.byteLimit = byteLimit
    }

    /// What was said so far.
    var transcript: Transcript { state.withLock { $0 } }

    func accept(protocol chosen: String?) async throws -> WebSocket {
        let socket = try await upgrade.accept(protocol: chosen)
        state.withLock { state in
            state.isAccepted = true
            state.chosen = chosen
            state.socket = socket
        }
        return WebSocket(self)
    }

    func receive() async throws -> WebSocketMessage? {
        guard let socket = begin(isReading: true) else { return nil }
        defer { state.withLock { $0.isReading = false } }
        var iterator = socket.makeAsyncIterator()
        let message = try await iterator.next()
        state.withLock { state in
            if let message { state.keep([message], \.received, byteLimit) } else { state.hasEnded = true }
        }
        return message
    }

    func send(_ messages: [WebSocketMessage]) async throws {
        guard let socket = begin(isReading: false) else { throw CancellationError() }
        state.withLock { state in
            if state.isReading { state.isPushed = true }
        }
        try await socket.send(messages)
        state.withLock { $0.keep(messages, \.sent, byteLimit) }
    }

    func close(_ code: WebSocketCloseCode, reason: String) async {
        guard let socket = begin(isReading: false) else { return }
        state.withLock { state in
            if state.close == nil { state.close = WebSocketClose(code: code, reason: reason) }
        }
        await socket.close(code, reason: reason)
    }

    private func begin(isReading: Bool) -> WebSocket? {
        state.withLock { state in
            if isReading { state.isReading = true }
            return state.socket
        }
    }
}

extension RecordedConversation.Transcript {
    private static let countLimit = 1000

    fileprivate mutating func keep(
        _ messages: [WebSocketMessage], _ side: WritableKeyPath<Self, [WebSocketMessage]>, _ byteLimit: Int
    ) {
        for message in messages where !isCut {
            bytes += message.payload.readableBytes + 64
            isCut = self[keyPath: side].count == Self.countLimit || bytes > byteLimit
            if !isCut { self[keyPath: side].append(message) }
        }
    }
}

extension Recording {
    func expected(
        _ transcript: RecordedConversation.Transcript, _ error: (any Error)?, _ redaction: Redaction
    ) -> [(String, PositionedJSON.Value?)]? {
        guard transcript.isAccepted else {
            guard let error else { return Self.responseMembers(Response(.noContent), redaction) }
            return error is CancellationError ? nil : Self.failureMembers(error, redaction)
        }
        let isOver = transcript.close != nil || transcript.hasEnded
        var code: UInt16? = transcript.close.map { $0.code?.rawValue ?? 1005 }
        if let error, !isOver {
            code = error is CancellationError ? nil : WebSocketCloseCode.internalError.rawValue
        } else if code == nil {
            code = WebSocketCloseCode.normal.rawValue
        }
        if transcript.isCut { code = nil }
        let reason = transcript.isCut ? "" : transcript.close?.reason ?? ""
        return [
            ("status", PositionedJSON.number(101)), ("protocol", transcript.chosen.map { .string($0) }),
            ("messages", .array(transcript.sent.map { Self.message($0, redaction) })),
            ("closeCode", code.map { PositionedJSON.number(Int($0)) }),
            ("closeReason", reason.isEmpty ? nil : .string(redaction.text(reason))),
        ]
    }

    /// A message as fixtures have it.
    static func message(_ message: WebSocketMessage, _ redaction: Redaction) -> PositionedJSON {
        guard message.kind == .text, let text = String(validating: message.payload.readableBytesView, as: UTF8.self)
        else {
            let base64 = Data(message.payload.readableBytesView).base64EncodedString()
            return PositionedJSON(object: [("base64", .string(base64))])
        }
        let value = PositionedJSON(content(text, redaction))
        // An object that looks like bytes is sent as its text.
        if value.members?.count == 1, value["base64"] != nil { return PositionedJSON(.string(text)) }
        return value
    }
}
