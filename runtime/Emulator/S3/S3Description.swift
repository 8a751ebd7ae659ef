/// How to reach a data directory's endpoint. Kept as JSON in `s3/endpoint.json`, which only the owner can read, for
/// peers and tools.
public struct S3Description: Codable, Sendable, Hashable {
    /// The URL without a path.
    public let endpoint: String
    /// The access key id.
    public let accessKeyId: String
    /// The secret access key, in the clear.
    public let secretAccessKey: String
    /// The bucket that was made at the start.
    public let bucket: String
    /// The region of the credential scope.
    public let region: String
}
