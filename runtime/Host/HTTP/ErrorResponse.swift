internal import FunctionKit

/// The one place that turns errors into answers, and the one shape in which clients see them.
enum ErrorResponse {
    /// What a handler's error becomes.
    ///
    /// - Returns: The answer; and whether the error itself belongs in the log because the answer does not tell it.
    static func make(for error: any Error) -> (error: HTTPError, isInternal: Bool) {
        switch error {
        case let error as HTTPError where (400...599).contains(error.status.code):
            return (error, false)
        case let error as any ClassifiedError where error.isUnavailable:
            return (unavailable("A store that this needs is away; try again soon."), true)
        default:
            return (internalError, true)
        }
    }

    /// 503 with `Retry-After`.
    static func unavailable(_ message: String, code: String = "service_unavailable") -> HTTPError {
        HTTPError(.serviceUnavailable, code: code, message: message, headers: [.retryAfter: "1"])
    }

    static let internalError = HTTPError(
        .internalServerError, message: "Something went wrong; the log tells more under the request id.")
    static let notFound = HTTPError(.notFound, message: "There is nothing at this path.")
    static let saturated = unavailable("Too many requests are being worked on; try again soon.", code: "saturated")
    static let timedOut = HTTPError(.gatewayTimeout, message: "The function ran past its timeout.")
    static let requestTimeout = HTTPError(.requestTimeout, message: "The request did not come in time.")
    static let bodyTooLarge = HTTPError(.contentTooLarge, message: "The body is larger than this route accepts.")

    static func methodNotAllowed(allow: String) -> HTTPError {
        HTTPError(
            .methodNotAllowed, message: "This path does not have that method; it has \(allow).",
            headers: [.allow: allow])
    }

    /// The answer in its one shape.
    static func response(_ error: HTTPError, requestID: String) -> Response {
        var json = JSONWriter(capacity: 256)
        json.object { json in
            json.key("error")
            json.value(StatusLine.reason(error.status))
            json.key("code")
            json.value(error.code)
            json.key("message")
            json.value(error.message)
            json.key("requestId")
            json.value(requestID)
            guard !error.details.isEmpty else { return }
            json.key("details")
            json.array { json in
                for detail in error.details {
                    json.object { json in
                        json.key("field")
                        json.value(detail.field)
                        json.key("problem")
                        json.value(detail.problem)
                    }
                }
            }
        }
        var headers = error.headers
        headers[.contentType] = "application/json"
        return Response(error.status, headers: headers, body: json.buffer)
    }
}
