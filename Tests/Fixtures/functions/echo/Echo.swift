import FunctionKit

/// Sends each message back as it came.
struct Echo: WebSocketFunction {
    func handle(_ request: Request, _ upgrade: WebSocketUpgrade, _ context: Context) async throws {
        let socket = try await upgrade.accept()
        for try await message in socket { try await socket.send(message) }
    }
}
