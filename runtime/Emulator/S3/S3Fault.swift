internal import ObjectStorage

/// An answer other than success, as S3 words it.
struct S3Fault: Error, Sendable, Equatable, CustomStringConvertible {
    let status: Int
    let code: String
    let message: String
    /// Header fields of the answer.
    var fields: [ObjectMetadata.Field] = []

    init(_ status: Int, _ code: String, _ message: String) {
        self.status = status
        self.code = code
        self.message = message
    }

    init(_ rejection: SigV4Rejection) {
        self.init(rejection.status, rejection.code, rejection.message)
    }

    var description: String { "\(code): \(message)" }

    static let noSuchBucket = S3Fault(404, "NoSuchBucket", "The specified bucket does not exist")
    static let noSuchKey = S3Fault(404, "NoSuchKey", "The specified key does not exist.")
    static let noSuchUpload = S3Fault(
        404, "NoSuchUpload",
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or "
            + "completed.")
    static let bucketNotEmpty = S3Fault(409, "BucketNotEmpty", "The bucket you tried to delete is not empty")
    static let preconditionFailed = S3Fault(
        412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
    static let malformedXML = S3Fault(
        400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema"
    )
    static let invalidPart = S3Fault(
        400, "InvalidPart",
        "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified "
            + "entity tag may not match the part's entity tag.")
    static let invalidPartOrder = S3Fault(
        400, "InvalidPartOrder",
        "The list of parts was not in ascending order. The parts list must be specified in order by part number.")
    static let entityTooSmall = S3Fault(
        400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")
    static let entityTooLarge = S3Fault(
        400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
    static let badDigest = S3Fault(
        400, "BadDigest", "The digest or checksum you specified did not match what we received.")
    static let contentSHA256Mismatch = S3Fault(
        400, "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed."
    )
    static let internalError = S3Fault(
        500, "InternalError", "We encountered an internal error. Please try again.")
    static let notImplemented = S3Fault(
        501, "NotImplemented", "A header or parameter you provided implies functionality that is not implemented.")

    static func invalidArgument(_ message: String) -> S3Fault { S3Fault(400, "InvalidArgument", message) }
    static func invalidRequest(_ message: String) -> S3Fault { S3Fault(400, "InvalidRequest", message) }
    static func notImplemented(_ what: String) -> S3Fault {
        S3Fault(501, "NotImplemented", "This endpoint does not implement \(what).")
    }
}
