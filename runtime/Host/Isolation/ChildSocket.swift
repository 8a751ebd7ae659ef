internal import FunctionKit
internal import NIOCore

/// A socket as its handler holds it in a function's process.
///
/// The handler pulls across the link: only when it asks for a message does the supervisor ask its client's socket. So the
/// client is slowed down, and the end of its socket waits for the answer to its last message, as in one process.
final class ChildSocket: WebSocketUpgrade.Connection, WebSocket.Connection {
    typealias Receipt = OneShot<Result<WebSocketMessage?, CancellationError>>
    typealias Acceptance = OneShot<Result<Void, any Error>>

    /// What the call keeps of its socket. Belongs to the link's loop.
    final class State {
        var acceptance: Acceptance?
        var receipt: Receipt?
        /// What came when its reader was cancelled.
        private var kept: WebSocketMessage?
        private var isWanted = false
        private(set) var isClosed = false

        func answered(_ result: Result<Void, any Error>) {
            acceptance?.set(result)
            acceptance = nil
        }

        func received(_ message: WebSocketMessage) throws(LinkViolation) {
            guard isWanted else { throw LinkViolation("a message that nobody wants") }
            isWanted = false
            if let receipt, receipt.set(.success(message)) { self.receipt = nil } else { kept = message }
        }

        /// Nothing more comes, nor is sent.
        func close() {
            isClosed = true
            answered(.failure(CancellationError()))
            receipt?.set(.success(nil))
            receipt = nil
        }

        /// - Returns: Whether a message must be asked for.
        func enqueue(_ receipt: Receipt) -> Bool {
            guard !receipt.isSet else { return false }
            guard self.receipt?.isSet ?? true else {
                // A second reader.
                receipt.set(.failure(CancellationError()))
                return false
            }
            if let message = kept {
                if receipt.set(.success(message)) { kept = nil }
                return false
            }
            guard !isClosed else {
                receipt.set(.success(nil))
                return false
            }
            self.receipt = receipt
            defer { isWanted = true }
            return !isWanted
        }
    }

    private let call: ChildCall

    init(_ call: ChildCall) { self.call = call }

    func accept(protocol chosen: String?) async throws -> WebSocket {
        let acceptance = Acceptance()
        let call = call
        onLoop {
            guard let socket = call.socket, !socket.isClosed, socket.acceptance == nil else {
                acceptance.set(.failure(CancellationError()))
                return
            }
            socket.acceptance = acceptance
            call.link.write { buffer in buffer.writeFrame(.accept, call.stream) { $0.writeOptionalText(chosen) } }
        }
        let result = await withTaskCancellationHandler {
            await acceptance.value()
        } onCancel: {
            acceptance.set(.failure(CancellationError()))
        }
        try result.get()
        return WebSocket(self)
    }

    func receive() async throws -> WebSocketMessage? {
        let receipt = Receipt()
        let call = call
        onLoop {
            guard let socket = call.socket else { return _ = receipt.set(.success(nil)) }
            if socket.enqueue(receipt) { call.link.write { $0.writeFrame(.want, call.stream) } }
        }
        let result = await withTaskCancellationHandler {
            await receipt.value()
        } onCancel: {
            // The socket's own end cancels the task too, and then says so by `nil`.
            call.link.loop.execute { receipt.set(.failure(CancellationError())) }
        }
        return try result.get()
    }

    func send(_ messages: [WebSocketMessage]) async throws {
        try await call.send(.messages) { LinkEvents.write(messages, into: &$0) }
    }

    func close(_ code: WebSocketCloseCode, reason: String) async {
        let call = call
        onLoop {
            guard !call.hasEnded, !call.isCancelled else { return }
            call.link.write { buffer in
                buffer.writeFrame(.close, call.stream) {
                    $0.writeInteger(code.rawValue)
                    $0.writeText(reason)
                }
            }
        }
    }

    private func onLoop(_ body: @escaping @Sendable () -> Void) {
        if call.link.loop.inEventLoop { body() } else { call.link.loop.execute(body) }
    }
}
