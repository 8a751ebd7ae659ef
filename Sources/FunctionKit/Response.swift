/// An HTTP response as a handler makes it.
///
/// The host adds `content-length`, `date`, `x-request-id` and the security headers.
public struct Response: Sendable {
    /// The status.
    public var status: HTTPResponse.Status
    /// The header fields; those that the host owns are overwritten.
    public var headers: HTTPFields
    /// The whole body.
    public var body: ByteBuffer

    /// Makes a response from its parts.
    public init(_ status: HTTPResponse.Status = .ok, headers: HTTPFields = [:], body: ByteBuffer = ByteBuffer()) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// A plain-text response in UTF-8.
    public static func text(_ text: String, status: HTTPResponse.Status = .ok) -> Response {
        Response(status, headers: [.contentType: "text/plain; charset=utf-8"], body: ByteBuffer(string: text))
    }

    /// An HTML page in UTF-8.
    public static func html(_ page: String, status: HTTPResponse.Status = .ok) -> Response {
        Response(status, headers: [.contentType: "text/html; charset=utf-8"], body: ByteBuffer(string: page))
    }

    /// The JSON form of a value.
    ///
    /// - Throws: `EncodingError` when the value cannot be encoded, for example a number that is not finite.
    public static func json(_ value: some Encodable, status: HTTPResponse.Status = .ok) throws -> Response {
        .json(encoded: try JSON.encode(value), status: status)
    }

    /// JSON that is encoded already, as ``JSONWriter`` makes it.
    public static func json(encoded body: ByteBuffer, status: HTTPResponse.Status = .ok) -> Response {
        Response(status, headers: [.contentType: "application/json"], body: body)
    }
}
