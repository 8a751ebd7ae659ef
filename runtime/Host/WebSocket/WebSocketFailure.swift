internal import FunctionKit

/// What a client did wrong, as it is told in the close frame.
struct WebSocketFailure: Error, Equatable {
    let code: WebSocketCloseCode
    /// ASCII, at most 123 bytes.
    let reason: String

    static func violation(_ reason: String) -> WebSocketFailure {
        WebSocketFailure(code: .protocolError, reason: reason)
    }

    static let notUTF8 = WebSocketFailure(code: .invalidPayload, reason: "text is not UTF-8")
    static let notDeflated = WebSocketFailure(code: .invalidPayload, reason: "compressed data is broken")
    static let tooBig = WebSocketFailure(code: .messageTooBig, reason: "message is too large")
}
