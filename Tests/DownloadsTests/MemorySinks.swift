import FunctionKit
import NIOCore
import Synchronization
import Testing

@testable import Downloads

/// Takes the events of a stream as a client would that reads at once.
final class MemoryEvents: EventStream.Sink {
    let events = Mutex<[ServerSentEvent]>([])
    let isOpen = Mutex(false)
    /// Runs before events are taken; a slow client waits here.
    let beforeSend = Mutex<@Sendable () async throws -> Void>({})

    func open() async throws { isOpen.withLock { $0 = true } }

    func send(_ events: [ServerSentEvent]) async throws {
        try await open()
        try await beforeSend.withLock { $0 }()
        self.events.withLock { $0 += events }
    }

    var seen: [Seen] { get throws { try events.withLock { $0 }.map { try Seen(String(buffer: $0.data)) } } }
}

/// A socket whose client is the test.
final class MemorySocket: WebSocketUpgrade.Connection, WebSocket.Connection {
    private struct State {
        var isAccepted = false
        var incoming: [WebSocketMessage] = []
        var reader: CheckedContinuation<WebSocketMessage?, Never>?
        var sent: [WebSocketMessage] = []
        var closeCode: WebSocketCloseCode?
        var handler: Task<Void, any Error>?
    }

    private let state = Mutex(State())

    var isAccepted: Bool { state.withLock { $0.isAccepted } }
    var closeCode: WebSocketCloseCode? { state.withLock { $0.closeCode } }
    var texts: [String] { state.withLock { $0.sent.map(\.string) } }
    var seen: [Seen] { get throws { try texts.filter { !$0.hasPrefix(#"{"type":"pong""#) }.map { try Seen($0) } } }

    /// What the client sends.
    func arrive(_ message: WebSocketMessage) {
        let reader = state.withLock { state in
            if state.reader == nil { state.incoming.append(message) }
            return state.reader.take()
        }
        reader?.resume(returning: message)
    }

    func accept(protocol: String?) async throws -> WebSocket {
        state.withLock { $0.isAccepted = true }
        return WebSocket(self)
    }

    func receive() async throws -> WebSocketMessage? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let message = state.withLock { state -> WebSocketMessage?? in
                    if !state.incoming.isEmpty { return state.incoming.removeFirst() }
                    if state.closeCode != nil { return .some(nil) }
                    state.reader = continuation
                    return nil
                }
                if let message { continuation.resume(returning: message) }
            }
        } onCancel: {
            end(.goingAway)
        }
    }

    func send(_ messages: [WebSocketMessage]) async throws {
        try state.withLock { state in
            guard state.closeCode == nil else { throw CancellationError() }
            state.sent += messages
        }
    }

    func close(_ code: WebSocketCloseCode, reason: String) async { end(code) }

    /// Runs a handler, which is cancelled when the socket has closed, as the host does it.
    func serve(_ body: @escaping @Sendable () async throws -> Void) async throws {
        let handler = Task { try await body() }
        let isClosed = state.withLock { state in
            state.handler = handler
            return state.closeCode != nil
        }
        if isClosed { handler.cancel() }
        try await withTaskCancellationHandler {
            try await handler.value
        } onCancel: {
            handler.cancel()
        }
    }

    /// Ends the socket, as its client may also do.
    func end(_ code: WebSocketCloseCode) {
        let (reader, handler) = state.withLock { state in
            state.closeCode = state.closeCode ?? code
            return (state.reader.take(), state.handler)
        }
        reader?.resume(returning: nil)
        handler?.cancel()
    }
}

/// A message as a client reads it.
struct Seen: Sendable, Hashable, CustomStringConvertible {
    let type: String
    let seq: Int64
    let status: String?
    let isFinal: Bool?
    let files: [Int64]
    let percentage: Double?

    init(_ json: String) throws {
        let message = try object(json)
        #expect(message["timestamp"] is String)
        let data = try #require(message["data"] as? [String: Any])
        type = try #require(message["type"] as? String)
        seq = try #require(message["seq"] as? Int64)
        status = data["status"] as? String
        isFinal = data["final"] as? Bool
        let files = data["files"] as? [[String: Any]] ?? []
        self.files = files.compactMap { $0["file_id"] as? Int64 }
        percentage = (data["progress"] as? [String: Any])?["percentage"] as? Double
        if type == "status" || type == "complete" { #expect(data["seq"] as? Int64 == seq) }
    }

    var description: String { "\(type)\(status.map { ":\($0)" } ?? "")\(isFinal == true ? ":final" : "")" }
}

extension [Seen] {
    var names: [String] { map(\.description) }
    var isIncreasing: Bool { zip(self, dropFirst()).allSatisfy { $0.seq < $1.seq } }
}

extension [WatchMessage] {
    var seen: [Seen] { get throws { try map { try Seen(String(buffer: $0.json)) } } }
}
