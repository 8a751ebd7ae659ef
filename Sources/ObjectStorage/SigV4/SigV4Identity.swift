public import FunctionKit

/// What a verified signature says.
public struct SigV4Identity: Sendable {
    /// The access key that signed.
    public let accessKeyID: String
    /// Whether the signature stood in the query.
    public let isPresigned: Bool
    /// When a presigned URL expires.
    public let expiresAt: Timestamp?
    /// What the body must be; the verifier has not seen it.
    public let payload: SigV4Payload
    /// What the first chunk's signature builds on, where the chunks are signed.
    public let chunkSeed: SigV4ChunkSeed?
}

/// What the signature of an aws-chunked body's first chunk builds on.
public struct SigV4ChunkSeed: Sendable {
    let key: SigV4SigningKey
    let dateTime: String
    /// The signature of the request itself.
    let signature: String
}
