internal import NIOHTTP1

/// A request to the bucket, before it is signed.
struct S3Request: Sendable {
    /// For messages, such as `PUT object`.
    let operation: String
    let method: HTTPMethod
    /// The key, or `nil` for the bucket itself.
    let key: String?
    /// The parameters, decoded.
    var query: [SigV4Parameter] = []
    /// Further fields, names in lower case; all are signed.
    var headers: [(name: String, value: String)] = []
    var body: S3RequestBody?
    var payload = SigV4Payload.empty
}
