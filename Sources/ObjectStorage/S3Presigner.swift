public import FunctionKit

/// Makes presigned URLs. Pure: the time is passed in.
public struct S3Presigner: Sendable {
    private let location: S3Location
    private let signer: SigV4Signer

    /// Makes a presigner for a bucket.
    public init(endpoint: S3Endpoint, bucket: String, addressing: S3Addressing, signer: SigV4Signer) {
        location = S3Location(endpoint: endpoint, bucket: bucket, addressing: addressing)
        self.signer = signer
    }

    /// A URL that is good for one method and one key.
    ///
    /// - Parameters:
    ///   - method: In upper case.
    ///   - key: 1 to 1024 bytes of UTF-8.
    ///   - query: Further parameters, decoded, such as `response-content-disposition`.
    ///   - expirySeconds: 1 to ``SigV4Signer/maximumExpirySeconds``.
    ///   - time: The time from which on the URL is good.
    /// - Returns: The URL.
    public func url(
        method: String = "GET", key: String, query: [SigV4Parameter] = [], expirySeconds: Int, at time: Timestamp
    ) -> String {
        let path = location.path(key: key)
        let signed = signer.presignedQuery(
            method: method, host: location.host, path: path, query: query, expirySeconds: expirySeconds, at: time)
        return location.url(path: path, query: signed)
    }
}
