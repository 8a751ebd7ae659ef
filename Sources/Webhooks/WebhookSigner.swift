internal import FunctionKit
internal import WebTokens

/// Signs messages: HMAC-SHA-256 over the time, a dot and the body, so that a message can be neither changed nor sent again
/// at another time.
struct WebhookSigner: Sendable {
    private let code: MessageCode

    /// - Throws: ``WebTokens/TokenError`` with code `badKey` when the secret has less than 32 bytes.
    init(secret: [UInt8]) throws(TokenError) { code = try MessageCode(key: secret) }

    /// Signs a message.
    ///
    /// - Parameters:
    ///   - body: The body as it is sent.
    ///   - seconds: The value of `Ferry-Timestamp`, seconds since 1970.
    /// - Returns: The value of `Ferry-Signature`.
    func signature(of body: some Sequence<UInt8>, at seconds: Int64) -> String {
        let digits = code.code(for: Array("\(seconds).".utf8) + body).map { byte in
            (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }
        return "v1=\(digits.joined())"
    }
}
