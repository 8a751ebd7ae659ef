/// An access key of an S3-compatible store.
public struct S3Credentials: Sendable, Hashable {
    /// The access key id, which is no secret.
    public let accessKeyID: String
    /// The secret access key.
    public let secretAccessKey: S3Secret
    /// The session token of temporary credentials.
    public let sessionToken: S3Secret?

    /// Makes credentials.
    public init(accessKeyID: String, secretAccessKey: S3Secret, sessionToken: S3Secret? = nil) {
        self.accessKeyID = accessKeyID
        self.secretAccessKey = secretAccessKey
        self.sessionToken = sessionToken
    }
}
