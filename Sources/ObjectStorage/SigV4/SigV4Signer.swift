public import FunctionKit

/// Signs requests, in header fields or in the query. Pure: the time is passed in.
public struct SigV4Signer: Sendable {
    /// The longest time that a presigned URL may be good for: 7 days in seconds.
    public static let maximumExpirySeconds = 604_800

    private let credentials: S3Credentials
    private let region: String
    private let service: String
    private var cached: SigV4SigningKey?

    /// Makes a signer.
    public init(credentials: S3Credentials, region: String, service: String = "s3") {
        self.credentials = credentials
        self.region = region
        self.service = service
    }

    /// The signer with the signing key of the time's day at hand, which spares four HMACs a request.
    public func prepared(for time: Timestamp) -> SigV4Signer {
        var prepared = self
        prepared.cached = key(for: SigV4Date(time))
        return prepared
    }

    /// The header fields that sign a request: `x-amz-date`, `x-amz-content-sha256`, `x-amz-security-token` with a
    /// session token, and `authorization`.
    ///
    /// - Parameters:
    ///   - method: In upper case.
    ///   - path: As on the wire, percent-encoded, beginning with `/`.
    ///   - query: The parameters, decoded.
    ///   - headers: The fields to sign; `host` must be among them.
    ///   - payload: What the body is.
    ///   - time: When the request is made.
    /// - Returns: The fields to add.
    public func headers(
        method: String, path: String, query: [SigV4Parameter], headers: [(name: String, value: String)],
        payload: SigV4Payload, at time: Timestamp
    ) -> [(name: String, value: String)] {
        let date = SigV4Date(time)
        let key = key(for: date)
        var added = [
            (name: "x-amz-date", value: date.dateTime), (name: "x-amz-content-sha256", value: payload.headerValue),
        ]
        if let token = credentials.sessionToken {
            added.append((name: "x-amz-security-token", value: token.revealed))
        }
        let request = SigV4CanonicalRequest(
            method: method, path: path, canonicalQuery: SigV4Query.canonical(query), headers: headers + added,
            payload: payload.headerValue)
        let authorization =
            "AWS4-HMAC-SHA256 Credential=\(credentials.accessKeyID)/\(key.scope), "
            + "SignedHeaders=\(request.signedHeaders), Signature=\(key.sign(request, at: date))"
        added.append((name: "authorization", value: authorization))
        return added
    }

    /// The query that signs a request whose body is not signed.
    ///
    /// - Parameters:
    ///   - method: In upper case.
    ///   - host: The host as in the `Host` field: with the port only where it is not the scheme's own.
    ///   - path: As on the wire, percent-encoded, beginning with `/`.
    ///   - query: Further parameters, decoded; they are signed too.
    ///   - expirySeconds: 1 to ``maximumExpirySeconds``.
    ///   - time: The time from which on the URL is good.
    /// - Returns: The whole query without `?`, the parameters in canonical order and the signature last.
    public func presignedQuery(
        method: String, host: String, path: String, query: [SigV4Parameter], expirySeconds: Int, at time: Timestamp
    ) -> String {
        let date = SigV4Date(time)
        let key = key(for: date)
        var parameters = query
        parameters.append(SigV4Parameter("X-Amz-Algorithm", "AWS4-HMAC-SHA256"))
        parameters.append(SigV4Parameter("X-Amz-Credential", "\(credentials.accessKeyID)/\(key.scope)"))
        parameters.append(SigV4Parameter("X-Amz-Date", date.dateTime))
        parameters.append(SigV4Parameter("X-Amz-Expires", String(expirySeconds)))
        parameters.append(SigV4Parameter("X-Amz-SignedHeaders", "host"))
        if let token = credentials.sessionToken {
            parameters.append(SigV4Parameter("X-Amz-Security-Token", token.revealed))
        }
        let canonicalQuery = SigV4Query.canonical(parameters)
        let request = SigV4CanonicalRequest(
            method: method, path: path, canonicalQuery: canonicalQuery, headers: [(name: "host", value: host)],
            payload: SigV4Payload.unsigned.headerValue)
        return "\(canonicalQuery)&X-Amz-Signature=\(key.sign(request, at: date))"
    }

    private func key(for date: SigV4Date) -> SigV4SigningKey {
        if let cached, cached.day == date.day { return cached }
        return SigV4SigningKey(
            secret: credentials.secretAccessKey, day: date.day, region: region, service: service)
    }
}
