internal import FunctionKit

extension DirectInvocation {
    /// Calls a function of sockets; a refusal before the socket is open is the answer that its client would see.
    func socket(
        _ request: Request, _ script: RecordedSocket.Script,
        _ handler: @escaping @Sendable (Request, WebSocketUpgrade, Context) async throws -> Void
    ) async throws -> Response {
        let manifest = runner.function.manifest
        let socket = RecordedSocket(script, maxMessageBytes: manifest.maxMessageBytes)
        let upgrade = WebSocketUpgrade(socket, protocols: script.protocols)
        let stay = script.stay ?? Self.stay
        do {
            try await runner.run(
                requestID: requestID, user: request.user, timeout: min(stay, manifest.timeout)
            ) { context in
                try await socket.run { try await handler(request, upgrade, context) }
            }
            guard socket.isAccepted else { return Self.answer(Response(.noContent)) }
            socket.end(.returned, .normal)
        } catch {
            switch error {
            case .timedOut where socket.isAccepted:
                socket.end(.time, stay <= manifest.timeout ? .normal : .goingAway)
            case .handler where socket.hasEnded: break
            case .handler(let failure) where !socket.isAccepted:
                let (answer, isInternal) = ErrorResponse.make(for: failure)
                if isInternal { runner.logFailure(failure, requestID: requestID) }
                return Self.answer(ErrorResponse.response(answer, requestID: requestID))
            case .handler(let failure):
                runner.logFailure(failure, requestID: requestID)
                socket.end(.failed, .internalError)
            case .timedOut, .saturated, .cancelled: throw Self.status(of: error)
            }
        }
        return socket.answer()
    }

    /// How long a client waits at most whose sample says nothing of it.
    private static let stay = Duration.seconds(5)
}
