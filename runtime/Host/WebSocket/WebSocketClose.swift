internal import FunctionKit
internal import NIOCore

/// The content of a close frame (RFC 6455 section 5.5.1).
struct WebSocketClose: Equatable {
    /// What a control frame leaves for the reason.
    static let maxReasonBytes = 123

    /// `nil` when the frame is empty.
    var code: WebSocketCloseCode?
    var reason = ""

    /// Whether an endpoint may send this code (section 7.4, with what IANA has registered since: 1012 to 1014).
    static func mayBeSent(_ code: UInt16) -> Bool {
        switch code {
        case 1000...1003, 1007...1014, 3000...4999: true
        default: false
        }
    }

    /// Reads the payload of a close frame.
    static func parse(_ payload: ByteBuffer) throws(WebSocketFailure) -> WebSocketClose {
        var payload = payload
        guard payload.readableBytes > 0 else { return WebSocketClose(code: nil) }
        guard let code = payload.readInteger(as: UInt16.self) else {
            throw .violation("a close frame has half a code")
        }
        guard mayBeSent(code) else { throw .violation("a close frame has a code that may not be sent") }
        guard let reason = String(validating: payload.readableBytesView, as: UTF8.self) else { throw .notUTF8 }
        return WebSocketClose(code: WebSocketCloseCode(rawValue: code), reason: reason)
    }

    /// The payload; the reason is cut at a character where it is too long.
    var payload: ByteBuffer {
        var payload = ByteBuffer()
        guard let code else { return payload }
        payload.writeInteger(code.rawValue)
        var count = 0
        for scalar in reason.unicodeScalars {
            count += UTF8.width(scalar)
            guard count <= WebSocketClose.maxReasonBytes else { break }
            payload.writeString(String(Character(scalar)))
        }
        return payload
    }
}
