internal import FunctionKit
internal import NIOCore

/// The first line of an answer.
enum StatusLine {
    static func write(_ status: HTTPResponse.Status, into buffer: inout ByteBuffer) {
        switch status.code {
        case 200: buffer.writeStaticString("HTTP/1.1 200 OK\r\n")
        case 202: buffer.writeStaticString("HTTP/1.1 202 Accepted\r\n")
        case 204: buffer.writeStaticString("HTTP/1.1 204 No Content\r\n")
        case 304: buffer.writeStaticString("HTTP/1.1 304 Not Modified\r\n")
        case 404: buffer.writeStaticString("HTTP/1.1 404 Not Found\r\n")
        default:
            buffer.writeStaticString("HTTP/1.1 ")
            buffer.writeString(String(status.code))
            buffer.writeStaticString(" ")
            buffer.writeString(reason(status))
            buffer.writeStaticString("\r\n")
        }
    }

    /// The status's phrase; the class's where it has none of its own.
    static func reason(_ status: HTTPResponse.Status) -> String {
        if !status.reasonPhrase.isEmpty { return status.reasonPhrase }
        return switch status.kind {
        case .clientError: "Client Error"
        case .serverError: "Server Error"
        case .informational, .successful, .redirection, .invalid: "Other"
        }
    }
}
