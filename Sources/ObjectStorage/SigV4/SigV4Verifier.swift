public import FunctionKit

/// Checks the signature of a request that came in, as an S3 endpoint does. Pure: time and credentials are passed in.
///
/// The path and the query are decoded and encoded again before they are signed, so that every spelling of one key is
/// one key; `.`, `..` and `//` stay. The body is not looked at: compare its SHA-256 with ``SigV4Identity/payload`` or
/// read it through an ``AWSChunkedDecoder``.
///
/// - Source: "Authenticating Requests (AWS Signature Version 4)" in the Amazon S3 API reference.
public struct SigV4Verifier: Sendable {
    /// How far the clocks may be apart, 15 minutes as in S3.
    static let maximumSkew = Duration.seconds(900)

    private let region: String
    private let service: String

    /// Makes a verifier that takes credential scopes of one region only.
    public init(region: String, service: String = "s3") {
        self.region = region
        self.service = service
    }

    /// Whether the request carries a signature or anything that looks like one.
    public static func isSigned(_ request: SigV4IncomingRequest) -> Bool {
        !request.values("authorization").isEmpty || request.query.contains("X-Amz-")
            || request.query.contains("AWSAccessKeyId=")
    }

    /// Checks a request.
    ///
    /// - Parameters:
    ///   - request: The request.
    ///   - now: The time at the endpoint.
    ///   - credentials: Gives the credentials of an access key id, `nil` for one that does not exist.
    /// - Returns: Who signed it and what the body must be.
    /// - Throws: What to answer.
    public func verify(
        _ request: SigV4IncomingRequest, now: Timestamp, credentials: (String) -> S3Credentials?
    ) throws(SigV4Rejection) -> SigV4Identity {
        guard let parameters = SigV4Query.parse(request.query), let path = PercentEncoding.decode(request.path),
            path.hasPrefix("/")
        else {
            throw SigV4Rejection(status: 400, code: "InvalidURI", message: "Couldn't parse the specified URI.")
        }
        let authorization = request.values("authorization")
        let isPresigned = parameters.contains { $0.name == "X-Amz-Algorithm" || $0.name == "X-Amz-Signature" }
        if isPresigned {
            guard authorization.isEmpty else {
                throw SigV4Rejection(
                    status: 400, code: "InvalidArgument",
                    message: "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, "
                        + "Signature query string parameter or the Authorization header should be specified")
            }
            return try verifyQuery(request, path: path, parameters: parameters, now: now, credentials: credentials)
        }
        guard let header = authorization.first, authorization.count == 1 else {
            throw .accessDenied("Access Denied")
        }
        return try verifyHeader(
            request, header: header, path: path, parameters: parameters, now: now, credentials: credentials)
    }

    private func verifyHeader(
        _ request: SigV4IncomingRequest, header: String, path: String, parameters: [SigV4Parameter], now: Timestamp,
        credentials: (String) -> S3Credentials?
    ) throws(SigV4Rejection) -> SigV4Identity {
        let claim = try SigV4Claim(authorization: header)
        guard let date = request.value("x-amz-date").flatMap({ SigV4Date(parsing: $0) }) else {
            throw .accessDenied("AWS authentication requires a valid Date or x-amz-date header")
        }
        guard let content = request.value("x-amz-content-sha256") else {
            throw .invalidRequest("Missing required header for this request: x-amz-content-sha256")
        }
        guard let payload = SigV4Payload(headerValue: content) else {
            throw SigV4Rejection(
                status: 400, code: "InvalidArgument",
                message: "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, a streaming mode, or a valid sha256 value.")
        }
        guard abs(now.milliseconds - date.timestamp.milliseconds) <= SigV4Verifier.maximumSkew.wholeMilliseconds else {
            throw SigV4Rejection(
                status: 403, code: "RequestTimeTooSkewed",
                message: "The difference between the request time and the current time is too large.")
        }
        let signature = try check(
            claim, request: request, path: path, parameters: parameters, date: date, payload: content,
            token: request.value("x-amz-security-token"), credentials: credentials)
        let isSeeded = payload == .streamingSigned || payload == .streamingSignedTrailer
        return SigV4Identity(
            accessKeyID: claim.accessKeyID, isPresigned: false, expiresAt: nil, payload: payload,
            chunkSeed: isSeeded
                ? SigV4ChunkSeed(key: signature.key, dateTime: date.dateTime, signature: claim.signature) : nil)
    }

    private func verifyQuery(
        _ request: SigV4IncomingRequest, path: String, parameters: [SigV4Parameter], now: Timestamp,
        credentials: (String) -> S3Credentials?
    ) throws(SigV4Rejection) -> SigV4Identity {
        let presigned = try SigV4PresignedParameters(parameters)
        let earliest = presigned.date.timestamp.milliseconds - SigV4Verifier.maximumSkew.wholeMilliseconds
        guard now.milliseconds >= earliest else { throw .accessDenied("Request is not yet valid") }
        guard now < presigned.expiresAt else { throw .accessDenied("Request has expired") }
        var payload = SigV4Payload.unsigned
        if presigned.claim.signedHeaders.contains("x-amz-content-sha256"),
            let content = request.value("x-amz-content-sha256")
        {
            guard let named = SigV4Payload(headerValue: content), !named.isChunked else {
                throw .invalidRequest("A presigned request's x-amz-content-sha256 is not supported.")
            }
            payload = named
        }
        _ = try check(
            presigned.claim, request: request, path: path,
            parameters: parameters.filter { $0.name != "X-Amz-Signature" }, date: presigned.date,
            payload: payload.headerValue, token: presigned.securityToken, credentials: credentials)
        return SigV4Identity(
            accessKeyID: presigned.claim.accessKeyID, isPresigned: true, expiresAt: presigned.expiresAt,
            payload: payload, chunkSeed: nil)
    }

    /// The part that both kinds share: scope, key, session token, signed fields, signature.
    private func check(
        _ claim: SigV4Claim, request: SigV4IncomingRequest, path: String, parameters: [SigV4Parameter],
        date: SigV4Date, payload: String, token: String?, credentials: (String) -> S3Credentials?
    ) throws(SigV4Rejection) -> (key: SigV4SigningKey, canonical: SigV4CanonicalRequest) {
        guard claim.day == date.day else {
            throw claim.malformed("Invalid credential date. This date is not the same as X-Amz-Date.")
        }
        guard claim.region == region else {
            throw claim.malformed("the region '\(claim.region)' is wrong; expecting '\(region)'")
        }
        guard claim.service == service else {
            throw claim.malformed("incorrect service. This endpoint belongs to \"\(service)\".")
        }
        guard let known = credentials(claim.accessKeyID) else {
            throw SigV4Rejection(
                status: 403, code: "InvalidAccessKeyId",
                message: "The AWS Access Key Id you provided does not exist in our records.")
        }
        guard MessageDigest.constantTimeEqual(known.sessionToken?.revealed ?? "", token ?? "") else {
            throw SigV4Rejection(
                status: 400, code: "InvalidToken",
                message: "The provided token is malformed or otherwise invalid.")
        }
        guard claim.signedHeaders.contains("host") else {
            throw .accessDenied("There were headers present in the request which were not signed: host")
        }
        for (name, _) in request.headers {
            let name = name.lowercased()
            guard name.hasPrefix("x-amz-"), !claim.signedHeaders.contains(name) else { continue }
            // A presigned request's body is not signed, so the field says nothing there; some clients send it still.
            if claim.isPresigned, name == "x-amz-content-sha256" { continue }
            throw .accessDenied("There were headers present in the request which were not signed: \(name)")
        }
        var headers: [(name: String, value: String)] = []
        for name in claim.signedHeaders {
            let values = request.values(name)
            guard !values.isEmpty else { throw .signatureMismatch }
            headers += values.map { (name: name, value: $0) }
        }
        let canonical = SigV4CanonicalRequest(
            method: request.method, path: SigV4Encoding.path(path), canonicalQuery: SigV4Query.canonical(parameters),
            headers: headers, payload: payload)
        let key = SigV4SigningKey(
            secret: known.secretAccessKey, day: claim.day, region: region, service: service)
        guard MessageDigest.constantTimeEqual(key.sign(canonical, at: date), claim.signature) else {
            throw .signatureMismatch
        }
        return (key, canonical)
    }
}
