/// What an ``S3ObjectStore`` needs to know.
public struct S3Configuration: Sendable {
    /// The bucket.
    public let bucket: String
    /// The region of the credential scope.
    public let region: String
    /// Where requests go.
    public let endpoint: S3Endpoint
    /// The endpoint in presigned URLs: what clients reach the store under.
    public let publicEndpoint: S3Endpoint
    /// Where the bucket's name stands.
    public let addressing: S3Addressing
    /// The access key.
    public let credentials: S3Credentials
    /// The longest time without progress: no response head, no chunk of a body, no bytes of an upload accepted.
    public let timeout: Duration
    /// How often and when a request is sent again.
    public let retry: S3RetryPolicy

    /// Makes a configuration.
    ///
    /// - Parameters:
    ///   - bucket: 3 to 63 characters, as S3 wants it.
    ///   - region: Of the credential scope; servers other than AWS mostly want `us-east-1`.
    ///   - endpoint: `nil` for AWS's own.
    ///   - publicEndpoint: For presigned URLs; `nil` for the endpoint itself.
    ///   - addressing: `nil` for the virtual host at AWS and the path elsewhere.
    ///   - credentials: The access key.
    ///   - timeout: The longest time without progress.
    ///   - retry: How often and when a request is sent again.
    /// - Throws: ``S3Error`` with code `.configuration`.
    public init(
        bucket: String, region: String = "us-east-1", endpoint: S3Endpoint? = nil,
        publicEndpoint: S3Endpoint? = nil, addressing: S3Addressing? = nil, credentials: S3Credentials,
        timeout: Duration = .seconds(30), retry: S3RetryPolicy = S3RetryPolicy()
    ) throws(S3Error) {
        guard S3Configuration.isBucketName(bucket) else {
            throw S3Error(
                .configuration,
                "the bucket's name must have 3 to 63 lower-case letters, digits, dots and hyphens, "
                    + "a letter or digit at both ends")
        }
        guard !region.isEmpty, region.utf8.allSatisfy({ $0 > 32 && $0 < 127 && $0 != UInt8(ascii: "/") }) else {
            throw S3Error(.configuration, "the region must be a name such as us-east-1")
        }
        guard timeout > .zero else { throw S3Error(.configuration, "the timeout must be longer than 0") }
        self.bucket = bucket
        self.region = region
        self.endpoint = endpoint ?? .aws(region: region)
        self.publicEndpoint = publicEndpoint ?? self.endpoint
        self.addressing = addressing ?? (endpoint == nil ? .virtualHost : .path)
        self.credentials = credentials
        self.timeout = timeout
        self.retry = retry
        guard self.addressing == .path || !(self.endpoint.isAddress || self.publicEndpoint.isAddress) else {
            throw S3Error(.configuration, "virtual-host addressing needs an endpoint with a name, not an address")
        }
    }

    private static func isBucketName(_ name: String) -> Bool {
        func isPlain(_ byte: UInt8) -> Bool { (97...122).contains(byte) || (48...57).contains(byte) }
        let bytes = Array(name.utf8)
        guard (3...63).contains(bytes.count), isPlain(bytes[0]), isPlain(bytes[bytes.count - 1]) else { return false }
        return bytes.allSatisfy { isPlain($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: ".") }
            && !name.contains("..")
    }
}
