import Downloads
import FunctionKit

/// Follows a job over a WebSocket: the messages of the event stream, one a text message.
///
/// Of its client it understands `{"type":"ping"}` and answers `{"type":"pong"}`. A few other messages are passed over;
/// a client that sends more of them takes this for another service and is closed with 1008.
struct SubscribeToJob: WebSocketFunction {
    private static let patience = 16
    /// The registered code for "come back later" (IANA, WebSocket Close Code Number Registry).
    private static let tryAgainLater = WebSocketCloseCode(rawValue: 1013)

    private struct ClientMessage: Decodable {
        let type: String
    }

    func handle(_ request: Request, _ upgrade: WebSocketUpgrade, _ context: Context) async throws {
        let watch = try await JobWatch(try request.jobID(), after: try request.watchedSeq(), context)
        let socket = try await upgrade.accept()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await answer(socket) }
            defer { group.cancelAll() }
            // In this task, which has the memory for it since the watch began. It ends with the socket, whoever closes
            // it: the host cancels it then.
            try await follow(watch, socket, context)
        }
    }

    private func follow(_ watch: JobWatch, _ socket: WebSocket, _ context: Context) async throws {
        var watch = watch
        do {
            while let messages = try await watch.next() { try await socket.send(messages.map(\.text)) }
            await socket.close()
        } catch let error as any ClassifiedError where error.isUnavailable {
            context.logger.debug("a watch has ended early", metadata: ["error": "\(error)"])
            await socket.close(Self.tryAgainLater, reason: "The job cannot be followed for now.")
        } catch is CancellationError {
            return
        } catch {
            context.logger.error("a job cannot be followed", metadata: ["error": "\(error)"])
            await socket.close(.internalError)
        }
    }

    private func answer(_ socket: WebSocket) async throws {
        var others = 0
        for try await message in socket {
            if Self.isPing(message) {
                try await socket.send(.text(#"{"type":"pong"}"#))
            } else {
                others += 1
                if others > Self.patience {
                    return await socket.close(.policyViolation, reason: #"Only {"type":"ping"} is understood here."#)
                }
            }
        }
    }

    private static func isPing(_ message: WebSocketMessage) -> Bool {
        guard message.kind == .text else { return false }
        return (try? JSON.decode(ClientMessage.self, from: message.payload))?.type == "ping"
    }
}
