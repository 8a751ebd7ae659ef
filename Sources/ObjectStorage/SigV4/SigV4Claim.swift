/// Who a request says has signed it, and what; nothing of it is checked yet.
struct SigV4Claim: Sendable {
    let isPresigned: Bool
    let accessKeyID: String
    let day: String
    let region: String
    let service: String
    /// Names in lower case, in the order given.
    let signedHeaders: [String]
    let signature: String

    /// Reads an `Authorization` field: `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`.
    init(authorization: String) throws(SigV4Rejection) {
        let halves = authorization.split(separator: " ", maxSplits: 1)
        guard halves.first == "AWS4-HMAC-SHA256" else {
            throw .invalidRequest(
                "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.")
        }
        var fields: [String: String] = [:]
        for part in halves.dropFirst().joined().split(separator: ",") {
            let pair = part.split(separator: "=", maxSplits: 1)
            guard pair.count == 2 else { continue }
            let name = String(pair[0].drop { $0 == " " })
            guard fields.updateValue(String(pair[1]), forKey: name) == nil else {
                throw SigV4Claim.malformed("\(name) was given twice.", isPresigned: false)
            }
        }
        guard let credential = fields["Credential"], let signedHeaders = fields["SignedHeaders"],
            let signature = fields["Signature"]
        else {
            throw SigV4Claim.malformed(
                "The authorization header is malformed; it must have Credential, SignedHeaders and Signature.",
                isPresigned: false)
        }
        try self.init(
            isPresigned: false, credential: credential, signedHeaders: signedHeaders, signature: signature)
    }

    /// Takes the parts of either form.
    init(
        isPresigned: Bool, credential: String, signedHeaders: String, signature: String
    ) throws(SigV4Rejection) {
        // An access key id may itself contain slashes; the scope is the last four parts.
        let parts = credential.split(separator: "/", omittingEmptySubsequences: false).map { String($0) }
        guard parts.count >= 5, parts[parts.count - 1] == "aws4_request" else {
            throw SigV4Claim.malformed(
                "the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".",
                isPresigned: isPresigned)
        }
        self.isPresigned = isPresigned
        accessKeyID = parts[..<(parts.count - 4)].joined(separator: "/")
        day = parts[parts.count - 4]
        region = parts[parts.count - 3]
        service = parts[parts.count - 2]
        self.signedHeaders = signedHeaders.split(separator: ";").map { $0.lowercased() }
        guard Set(self.signedHeaders).count == self.signedHeaders.count else {
            throw SigV4Claim.malformed("a signed header was named twice.", isPresigned: isPresigned)
        }
        self.signature = signature
    }

    /// What S3 answers when the signature's own parts are wrong.
    func malformed(_ message: String) -> SigV4Rejection {
        SigV4Claim.malformed(message, isPresigned: isPresigned)
    }

    private static func malformed(_ message: String, isPresigned: Bool) -> SigV4Rejection {
        SigV4Rejection(
            status: 400,
            code: isPresigned ? "AuthorizationQueryParametersError" : "AuthorizationHeaderMalformed",
            message: message)
    }
}
