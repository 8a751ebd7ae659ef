/// The form of a request that is signed.
///
/// - Source: "Create a canonical request" in AWS, Signature Version 4.
struct SigV4CanonicalRequest: Sendable {
    /// Name in lower case and value of each signed header field, in order of the names, a name once.
    let headers: [(name: String, value: String)]
    /// The names, joined with `;`.
    let signedHeaders: String
    /// The canonical request itself.
    let text: String

    /// - Parameters:
    ///   - method: In upper case.
    ///   - path: Percent-encoded already, beginning with `/`.
    ///   - canonicalQuery: See ``SigV4Query/canonical(_:)``.
    ///   - headers: The fields to sign in any order and case. Fields of one name are joined in the order given.
    ///   - payload: The value for the last line.
    init(
        method: String, path: String, canonicalQuery: String, headers: [(name: String, value: String)],
        payload: String
    ) {
        var values: [String: String] = [:]
        for (name, value) in headers {
            let trimmed = SigV4CanonicalRequest.trim(value)
            values[name.lowercased(), default: ""] += values[name.lowercased()] == nil ? trimmed : "," + trimmed
        }
        self.headers = values.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
            .map { (name: $0.key, value: $0.value) }
        signedHeaders = self.headers.map(\.name).joined(separator: ";")
        text =
            "\(method)\n\(path)\n\(canonicalQuery)\n"
            + self.headers.map { "\($0.name):\($0.value)\n" }.joined()
            + "\n\(signedHeaders)\n\(payload)"
    }

    func stringToSign(date: SigV4Date, scope: String) -> String {
        "AWS4-HMAC-SHA256\n\(date.dateTime)\n\(scope)\n"
            + Hexadecimal.encode(MessageDigest.digest(.sha256, of: text))
    }

    /// Without spaces at the ends, and runs of spaces as one.
    private static func trim(_ value: String) -> String {
        value.split(whereSeparator: { $0 == " " || $0 == "\t" }).joined(separator: " ")
    }
}
