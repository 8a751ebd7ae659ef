internal import FoundationEssentials
internal import FunctionKit
internal import NIOCore
internal import Synchronization

/// The client of a socket that was called by hand: says what it has to say, keeps what it hears, and leaves.
final class RecordedSocket: WebSocketUpgrade.Connection, WebSocket.Connection {
    /// What the client does.
    struct Script: Sendable {
        /// The sub-protocols that it offers.
        var protocols: [String] = []
        /// What it sends, one after the other.
        var messages: [WebSocketMessage] = []
        /// How many messages it keeps before it leaves.
        var limit = 10
        /// How long it stays; `nil` when it leaves as soon as everything it sent was read and more is asked for.
        var stay: Duration?
    }

    /// Who ended the socket, and why.
    enum End: String {
        case messages, limit, time, returned, closed, failed
    }

    private struct State {
        var isAccepted = false
        var chosen: String?
        var unsent: ArraySlice<WebSocketMessage>
        var heard: [WebSocketMessage] = []
        var end: (end: End, close: WebSocketClose)?
        /// Tells a waiting reader `true` at the end, `false` when it was cancelled.
        var reader: OneShot<Bool>?
    }

    private let script: Script
    private let maxMessageBytes: Int
    private let state: Mutex<State>
    private let left = OneShot<Void>()

    init(_ script: Script, maxMessageBytes: Int) {
        self.script = script
        self.maxMessageBytes = maxMessageBytes
        state = Mutex(State(unsent: script.messages[...]))
    }

    /// Whether the handler has made it a socket.
    var isAccepted: Bool { state.withLock { $0.isAccepted } }
    /// Whether the socket has closed, whoever closed it.
    var hasEnded: Bool { state.withLock { $0.end != nil } }

    /// Runs the handler, and cancels its task once the socket has closed.
    func run(_ handler: @escaping @Sendable () async throws -> Void) async throws {
        let result = await withTaskGroup(of: Result<Void, any Error>?.self) { group in
            group.addTask {
                defer { self.left.set(()) }
                do { return .success(try await handler()) } catch { return .failure(error) }
            }
            group.addTask {
                await self.left.value()
                return nil
            }
            var result: Result<Void, any Error>?
            for await ended in group {
                result = ended ?? result
                group.cancelAll()
            }
            return result
        }
        try result?.get()
    }

    /// Closes the socket, unless it has closed.
    func end(_ end: End, _ code: WebSocketCloseCode, reason: String = "") {
        let reader = state.withLock { state -> OneShot<Bool>? in
            if state.end == nil { state.end = (end, WebSocketClose(code: code, reason: reason)) }
            defer { state.reader = nil }
            return state.reader
        }
        reader?.set(true)
        left.set(())
    }

    func accept(protocol chosen: String?) async throws -> WebSocket {
        if let chosen, !script.protocols.contains(chosen) {
            throw HTTPError(.internalServerError, message: "The client does not offer the sub-protocol \(chosen).")
        }
        try state.withLock { state in
            guard !state.isAccepted else {
                throw HTTPError(.internalServerError, message: "An upgrade is accepted once.")
            }
            state.isAccepted = true
            state.chosen = chosen
        }
        return WebSocket(self)
    }

    func receive() async throws -> WebSocketMessage? {
        enum Step {
            case message(WebSocketMessage)
            case wait(OneShot<Bool>)
            case end(End, WebSocketCloseCode)
            case ended
        }
        try Task.checkCancellation()
        let step = try state.withLock { state -> Step in
            guard state.end == nil else { return .ended }
            if let message = state.unsent.popFirst() {
                return message.payload.readableBytes > maxMessageBytes
                    ? .end(.closed, .messageTooBig) : .message(message)
            }
            guard script.stay != nil else { return .end(.messages, .normal) }
            // A second reader.
            guard state.reader?.isSet ?? true else { throw CancellationError() }
            let reader = OneShot<Bool>()
            state.reader = reader
            return .wait(reader)
        }
        switch step {
        case .message(let message): return message
        case .ended: return nil
        case .end(let end, let code):
            self.end(end, code)
            return nil
        case .wait(let reader):
            let hasEnded = await withTaskCancellationHandler {
                await reader.value()
            } onCancel: {
                reader.set(false)
            }
            if !hasEnded { throw CancellationError() }
            return nil
        }
    }

    func send(_ messages: [WebSocketMessage]) async throws {
        try Task.checkCancellation()
        let isFull = try state.withLock { state in
            guard state.end == nil else { throw CancellationError() }
            state.heard += messages.prefix(script.limit - state.heard.count)
            return state.heard.count == script.limit
        }
        if isFull { end(.limit, .normal) }
    }

    func close(_ code: WebSocketCloseCode, reason: String) async { end(.closed, code, reason: reason) }

    /// What came of it, as JSON.
    func answer() -> Response {
        let state = state.withLock { $0 }
        var json = JSONWriter()
        json.object { json in
            json.key("status")
            json.value(101)
            if let chosen = state.chosen {
                json.key("protocol")
                json.value(chosen)
            }
            json.key("messages")
            json.array { json in
                for message in state.heard { message.write(to: &json) }
            }
            if let (end, close) = state.end {
                json.key("closeCode")
                json.value(close.code.map { Int($0.rawValue) })
                if !close.reason.isEmpty {
                    json.key("closeReason")
                    json.value(close.reason)
                }
                json.key("ended")
                json.value(end.rawValue)
            }
        }
        return .json(encoded: json.buffer)
    }
}

extension WebSocketMessage {
    /// Writes the form that fixtures have: a text, or an object with the bytes in base64.
    func write(to json: inout JSONWriter) {
        if kind == .text, let text = String(validating: payload.readableBytesView, as: UTF8.self) {
            json.value(text)
        } else {
            json.object { json in
                json.key("base64")
                json.value(Data(payload.readableBytesView).base64EncodedString())
            }
        }
    }

    /// Reads the form that fixtures have; JSON that is neither a text nor bytes is sent as its text.
    init?(fixture json: PositionedJSON) {
        if let text = json.string {
            self = .text(text)
        } else if let members = json.members, members.count == 1, let base64 = json["base64"] {
            guard let data = base64.string.flatMap({ Data(base64Encoded: $0) }) else { return nil }
            self = .binary(ByteBuffer(bytes: data))
        } else {
            self = .text(json.text())
        }
    }
}
