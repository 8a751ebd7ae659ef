/// The key that signs everything of one day, region and service.
///
/// - Source: "Calculate signature" in AWS, Signature Version 4.
struct SigV4SigningKey: Sendable {
    /// The day, for example `20130524`.
    let day: String
    /// The credential scope, for example `20130524/us-east-1/s3/aws4_request`.
    let scope: String
    private let key: [UInt8]

    init(secret: S3Secret, day: String, region: String, service: String) {
        self.day = day
        scope = "\(day)/\(region)/\(service)/aws4_request"
        var key = Array("AWS4\(secret.revealed)".utf8)
        for part in [day, region, service, "aws4_request"] {
            key = MessageDigest.hmacSHA256(key: key, part)
        }
        self.key = key
    }

    /// The signature of a string to sign: 64 lower-case digits.
    func sign(_ stringToSign: String) -> String {
        Hexadecimal.encode(MessageDigest.hmacSHA256(key: key, stringToSign))
    }

    /// The signature of a canonical request.
    func sign(_ request: SigV4CanonicalRequest, at date: SigV4Date) -> String {
        sign(request.stringToSign(date: date, scope: scope))
    }
}
