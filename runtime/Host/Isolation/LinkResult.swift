internal import FunctionKit
internal import NIOCore

/// What a call ends with, as it crosses a link.
enum LinkResult {
    /// What a handler returns.
    enum Value {
        case nothing
        case response(Response)
        /// A job's result, JSON.
        case text(String)
    }

    private enum Tag: UInt8 {
        case nothing = 0
        case response
        case text
        case error
    }

    static func write(_ result: Result<Value, any Error>, into buffer: inout ByteBuffer) {
        switch result {
        case .success(.nothing): buffer.writeInteger(Tag.nothing.rawValue)
        case .success(.text(let text)):
            buffer.writeInteger(Tag.text.rawValue)
            buffer.writeText(text)
        case .success(.response(let response)):
            buffer.writeInteger(Tag.response.rawValue)
            buffer.writeInteger(UInt16(clamping: response.status.code))
            buffer.writeText(response.status.reasonPhrase)
            buffer.writeFields(response.headers)
            buffer.writeBytes(of: response.body)
        case .failure(let error):
            buffer.writeInteger(Tag.error.rawValue)
            LinkError.write(error, into: &buffer)
        }
    }

    static func read(_ payload: ByteBuffer) throws(LinkViolation) -> Result<Value, any Error> {
        var payload = payload
        let result: Result<Value, any Error>
        switch Tag(rawValue: try payload.readNumber()) {
        case .nothing: result = .success(.nothing)
        case .text: result = .success(.text(try payload.readText()))
        case .response:
            let status = try payload.readStatus()
            result = .success(
                .response(Response(status, headers: try payload.readFields(), body: try payload.readBytes())))
        case .error: result = .failure(try LinkError.read(&payload))
        case nil: throw LinkViolation("a result of an unknown kind")
        }
        try payload.readToEnd()
        return result
    }
}

extension ByteBuffer {
    mutating func readStatus() throws(LinkViolation) -> HTTPResponse.Status {
        let code = try readNumber(UInt16.self)
        guard code <= 999 else { throw LinkViolation("a status of more than three digits") }
        return HTTPResponse.Status(code: Int(code), reasonPhrase: try readText())
    }
}
