internal import FunctionKit
internal import NIOCore

/// Writes an answer as bytes: the handler's header fields, then those that the host owns.
///
/// Names and values need no check here: `HTTPField` admits only tokens as names and replaces CR, LF and NUL in values, so
/// a handler cannot split an answer.
struct ResponseEncoder {
    enum Connection {
        /// As the version has it: nothing is said.
        case asDefault
        case close
        /// Said to HTTP/1.0 clients that asked for it.
        case keepAlive
    }

    enum Framing {
        /// The whole body is there, and its length is told.
        case sized
        /// More comes, in chunks (RFC 9112 section 7.1).
        case chunked
        /// More comes, until the connection closes.
        case untilClose
    }

    var requestID: String
    var framing = Framing.sized
    var connection = Connection.asDefault
    /// Whether the client's connection is known to be encrypted up to a proxy of ours.
    var isSecure = false
    var omitsBody = false

    /// Bodies up to this size are copied behind the head, so that one system call sends both.
    static let inlineBodyBytes = 16_384

    /// Writes the head, and the body when it is small.
    ///
    /// - Returns: The body when it is to be sent by itself.
    func write(_ response: Response, date: DateCache, into buffer: inout ByteBuffer) -> ByteBuffer? {
        StatusLine.write(response.status, into: &buffer)
        buffer.writeStaticString("date: ")
        date.write(into: &buffer)
        buffer.writeStaticString("\r\n")
        var isPage = false
        var hasPolicy = false
        for field in response.headers {
            let name = field.name.canonicalName
            if Self.isOwned(name) { continue }
            if name == "content-type" { isPage = field.value.hasPrefix("text/html") }
            if name == "content-security-policy" { hasPolicy = true }
            buffer.writeString(name)
            buffer.writeStaticString(": ")
            buffer.writeString(field.value)
            buffer.writeStaticString("\r\n")
        }
        if isPage, !hasPolicy { buffer.writeStaticString(Self.pagePolicy) }

        let code = response.status.code
        let hasBody = code != 204 && code != 304
        if hasBody {
            switch framing {
            case .sized:
                buffer.writeStaticString("content-length: ")
                buffer.writeString(String(response.body.readableBytes))
                buffer.writeStaticString("\r\n")
            case .chunked: buffer.writeStaticString("transfer-encoding: chunked\r\n")
            case .untilClose: break
            }
        }
        buffer.writeStaticString("x-request-id: ")
        buffer.writeString(requestID)
        buffer.writeStaticString("\r\n")
        buffer.writeStaticString(Self.securityHeaders)
        if isSecure { buffer.writeStaticString("strict-transport-security: max-age=31536000\r\n") }
        // RFC 9110 section 15.5.22: this answer names the protocol that it asks for.
        let asksForUpgrade = code == 426
        if asksForUpgrade { buffer.writeStaticString("upgrade: websocket\r\n") }
        switch connection {
        case .asDefault: if asksForUpgrade { buffer.writeStaticString("connection: upgrade\r\n") }
        case .close where asksForUpgrade: buffer.writeStaticString("connection: upgrade, close\r\n")
        case .close: buffer.writeStaticString("connection: close\r\n")
        case .keepAlive: buffer.writeStaticString("connection: keep-alive\r\n")
        }
        buffer.writeStaticString("\r\n")
        guard hasBody, !omitsBody, response.body.readableBytes > 0 else { return nil }
        guard response.body.readableBytes <= Self.inlineBodyBytes else { return response.body }
        buffer.writeImmutableBuffer(response.body)
        return nil
    }

    private static let securityHeaders: StaticString = """
        x-content-type-options: nosniff\r
        x-frame-options: SAMEORIGIN\r
        referrer-policy: no-referrer\r
        cross-origin-opener-policy: same-origin\r
        cross-origin-resource-policy: same-origin\r

        """

    /// For pages whose handler names no policy of its own.
    private static let pagePolicy: StaticString =
        "content-security-policy: default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'; object-src 'none'\r\n"

    /// Whether the host alone says what this field holds. The length rules most names out at once.
    private static func isOwned(_ name: String) -> Bool {
        switch name.utf8.count {
        case 4: name == "date"
        case 7: name == "upgrade" || name == "trailer"
        case 10: name == "connection" || name == "keep-alive"
        case 12: name == "x-request-id"
        case 14: name == "content-length"
        case 15: name == "x-frame-options" || name == "referrer-policy"
        case 17: name == "transfer-encoding"
        case 22: name == "x-content-type-options"
        case 25: name == "strict-transport-security"
        case 26: name == "cross-origin-opener-policy"
        case 28: name == "cross-origin-resource-policy"
        default: false
        }
    }
}
