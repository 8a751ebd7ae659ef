/// A request that is refused, with what S3 answers in that case.
public struct SigV4Rejection: Error, Sendable, Hashable, CustomStringConvertible {
    /// The status of the answer: 400 or 403.
    public let status: Int
    /// S3's code, for example `SignatureDoesNotMatch`.
    public let code: String
    /// The message for the answer.
    public let message: String

    /// Makes a rejection.
    public init(status: Int, code: String, message: String) {
        self.status = status
        self.code = code
        self.message = message
    }

    /// The code and the message.
    public var description: String { "\(code): \(message)" }

    static func accessDenied(_ message: String) -> SigV4Rejection {
        SigV4Rejection(status: 403, code: "AccessDenied", message: message)
    }

    static func invalidRequest(_ message: String) -> SigV4Rejection {
        SigV4Rejection(status: 400, code: "InvalidRequest", message: message)
    }

    static let signatureMismatch = SigV4Rejection(
        status: 403, code: "SignatureDoesNotMatch",
        message: "The request signature we calculated does not match the signature you provided. "
            + "Check your key and signing method.")

    static let incompleteBody = SigV4Rejection(
        status: 400, code: "IncompleteBody",
        message: "The request body terminated unexpectedly")
}
