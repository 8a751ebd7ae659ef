internal import FunctionKit

/// The parameters of a presigned URL.
///
/// - Source: "Authenticating Requests: Using Query Parameters" in the Amazon S3 API reference.
struct SigV4PresignedParameters: Sendable {
    let claim: SigV4Claim
    let date: SigV4Date
    let expiresAt: Timestamp
    let securityToken: String?

    init(_ parameters: [SigV4Parameter]) throws(SigV4Rejection) {
        var values: [String: String] = [:]
        for parameter in parameters where parameter.name.hasPrefix("X-Amz-") {
            guard values.updateValue(parameter.value, forKey: parameter.name) == nil else {
                throw SigV4PresignedParameters.error("\(parameter.name) was given twice")
            }
        }
        guard let algorithm = values["X-Amz-Algorithm"], let credential = values["X-Amz-Credential"],
            let dateTime = values["X-Amz-Date"], let expires = values["X-Amz-Expires"],
            let signedHeaders = values["X-Amz-SignedHeaders"], let signature = values["X-Amz-Signature"]
        else {
            throw SigV4PresignedParameters.error(
                "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, "
                    + "X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.")
        }
        guard algorithm == "AWS4-HMAC-SHA256" else {
            throw SigV4PresignedParameters.error("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\"")
        }
        guard let date = SigV4Date(parsing: dateTime) else {
            throw SigV4PresignedParameters.error(
                "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
        }
        guard let seconds = Int64(expires) else {
            throw SigV4PresignedParameters.error("X-Amz-Expires should be a number")
        }
        guard seconds >= 0 else { throw SigV4PresignedParameters.error("X-Amz-Expires must be non-negative") }
        guard seconds <= SigV4Signer.maximumExpirySeconds else {
            throw SigV4PresignedParameters.error(
                "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be "
                    + "less than 604800 seconds")
        }
        claim = try SigV4Claim(
            isPresigned: true, credential: credential, signedHeaders: signedHeaders, signature: signature)
        self.date = date
        expiresAt = date.timestamp + .seconds(seconds)
        securityToken = values["X-Amz-Security-Token"]
    }

    private static func error(_ message: String) -> SigV4Rejection {
        SigV4Rejection(status: 400, code: "AuthorizationQueryParametersError", message: message)
    }
}
