internal import FunctionKit
internal import NIOCore

/// Errors of handlers across a link. What the host looks at arrives as it was thrown; of others arrive the text for the
/// log, the class, and whether a store is away.
enum LinkError {
    private enum Tag: UInt8 {
        case http = 0
        case permanent
        case retryAfter
        case classified
        case cancelled
        case other
    }

    static func write(_ error: any Error, into buffer: inout ByteBuffer) {
        switch error {
        case let error as HTTPError:
            buffer.writeInteger(Tag.http.rawValue)
            buffer.writeInteger(UInt16(clamping: error.status.code))
            buffer.writeText(error.status.reasonPhrase)
            buffer.writeText(error.code)
            buffer.writeText(error.message)
            buffer.writeInteger(UInt32(clamping: error.details.count))
            for detail in error.details {
                buffer.writeText(detail.field)
                buffer.writeText(detail.problem)
            }
            buffer.writeFields(error.headers)
        case let error as Permanent:
            buffer.writeInteger(Tag.permanent.rawValue)
            buffer.writeText(error.message)
            buffer.writeText(error.errorClass.rawValue)
        case let error as RetryAfter:
            buffer.writeInteger(Tag.retryAfter.rawValue)
            buffer.writeText(error.message)
            buffer.writeText(error.errorClass.rawValue)
            buffer.writeDuration(error.delay)
        case let error as any ClassifiedError:
            buffer.writeInteger(Tag.classified.rawValue)
            buffer.writeText(error.description)
            buffer.writeText(error.errorClass.rawValue)
            buffer.writeInteger(UInt8(error.isUnavailable ? 1 : 0))
        case is CancellationError:
            buffer.writeInteger(Tag.cancelled.rawValue)
        default:
            buffer.writeInteger(Tag.other.rawValue)
            buffer.writeText("\(error)")
            buffer.writeText(ErrorClass(of: error).rawValue)
        }
    }

    static func read(_ payload: inout ByteBuffer) throws(LinkViolation) -> any Error {
        switch Tag(rawValue: try payload.readNumber()) {
        case .http:
            var error = HTTPError(
                try payload.readStatus(), code: try payload.readText(), message: try payload.readText())
            for _ in 0..<(try payload.readCount(ofAtLeast: 8)) {
                error.details.append(
                    HTTPError.Detail(field: try payload.readText(), problem: try payload.readText()))
            }
            error.headers = try payload.readFields()
            return error
        case .permanent: return Permanent(try payload.readText(), class: try readClass(&payload))
        case .retryAfter:
            let message = try payload.readText()
            let errorClass = try readClass(&payload)
            return RetryAfter(try payload.readDuration(), message, class: errorClass)
        case .classified:
            return RemoteStoreError(
                description: try payload.readText(), errorClass: try readClass(&payload),
                isUnavailable: try payload.readNumber(UInt8.self) != 0)
        case .cancelled: return CancellationError()
        case .other:
            let text = try payload.readText()
            guard try readClass(&payload) == .validation else { return RemoteError(description: text) }
            return DecodingError.dataCorrupted(.init(codingPath: [], debugDescription: text))
        case nil: throw LinkViolation("an error of an unknown kind")
        }
    }

    private static func readClass(_ payload: inout ByteBuffer) throws(LinkViolation) -> ErrorClass {
        guard let errorClass = ErrorClass(rawValue: try payload.readText()) else {
            throw LinkViolation("an error of an unknown class")
        }
        return errorClass
    }

    /// An error of which only the text is known here.
    struct RemoteError: Error, CustomStringConvertible {
        let description: String
    }

    /// An adapter's error in a function's process.
    struct RemoteStoreError: ClassifiedError {
        let description: String
        let errorClass: ErrorClass
        let isUnavailable: Bool
    }
}
