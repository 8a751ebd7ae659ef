/// How a request says what its body is (`x-amz-content-sha256`).
///
/// - Source: "Authenticating Requests: Using the Authorization Header" in the Amazon S3 API reference.
public enum SigV4Payload: Sendable, Hashable {
    /// `UNSIGNED-PAYLOAD`: the signature does not cover the body.
    case unsigned
    /// The SHA-256 of the body, 64 lower-case digits.
    case sha256(String)
    /// `STREAMING-UNSIGNED-PAYLOAD-TRAILER`: aws-chunked without signatures, with a checksum in a trailer.
    case streamingUnsignedTrailer
    /// `STREAMING-AWS4-HMAC-SHA256-PAYLOAD`: aws-chunked, each chunk signed.
    case streamingSigned
    /// `STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER`: aws-chunked, each chunk and the trailer signed.
    case streamingSignedTrailer

    /// The payload of a request without a body.
    public static let empty = SigV4Payload.sha256(SigV4Payload.emptySHA256)

    /// The SHA-256 of nothing.
    static let emptySHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

    /// The value of the header field.
    public var headerValue: String {
        switch self {
        case .unsigned: "UNSIGNED-PAYLOAD"
        case .sha256(let digest): digest
        case .streamingUnsignedTrailer: "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
        case .streamingSigned: "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
        case .streamingSignedTrailer: "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
        }
    }

    /// Reads the header field's value; `nil` for one that S3 does not know.
    public init?(headerValue: String) {
        switch headerValue {
        case "UNSIGNED-PAYLOAD": self = .unsigned
        case "STREAMING-UNSIGNED-PAYLOAD-TRAILER": self = .streamingUnsignedTrailer
        case "STREAMING-AWS4-HMAC-SHA256-PAYLOAD": self = .streamingSigned
        case "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER": self = .streamingSignedTrailer
        default:
            guard Hexadecimal.isSHA256(headerValue) else { return nil }
            self = .sha256(headerValue)
        }
    }

    /// Whether the body on the wire is aws-chunked and goes through an ``AWSChunkedDecoder``.
    public var isChunked: Bool {
        switch self {
        case .unsigned, .sha256: false
        case .streamingUnsignedTrailer, .streamingSigned, .streamingSignedTrailer: true
        }
    }
}
