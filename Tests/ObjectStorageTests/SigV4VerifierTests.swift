import FunctionKit
import NIOCore
import Testing

@testable import ObjectStorage

@Suite struct SigV4VerifierTests {
    static let now = Timestamp(milliseconds: 1_771_000_000_000)
    static let credentials = S3Credentials(accessKeyID: "key/with/slash", secretAccessKey: S3Secret("secret"))
    static let temporary = S3Credentials(
        accessKeyID: "TEMP", secretAccessKey: S3Secret("other"), sessionToken: S3Secret("to/ken+="))
    static let host = "localhost:9000"
    static let target = "/bucket/a%20b//..%2Bc/%C3%A9~.zip?partNumber=1&uploadId=x%2Fy%2B"

    private func verify(
        _ request: SigV4IncomingRequest, at time: Timestamp = now, region: String = "us-east-1"
    ) throws(SigV4Rejection) -> SigV4Identity {
        try SigV4Verifier(region: region).verify(request, now: time) { id in
            [Self.credentials, Self.temporary].first { $0.accessKeyID == id }
        }
    }

    private func code(_ request: SigV4IncomingRequest, at time: Timestamp = now, region: String = "us-east-1") -> String
    {
        do {
            _ = try verify(request, at: time, region: region)
            return "accepted"
        } catch { return error.code }
    }

    private func signed(
        _ credentials: S3Credentials = credentials, method: String = "PUT", target: String = target,
        extra: [(name: String, value: String)] = [], payload: SigV4Payload = .unsigned
    ) -> SigV4IncomingRequest {
        let plain = SigV4IncomingRequest(method: method, target: target, headers: [])
        let fields = [(name: "Host", value: Self.host)] + extra
        let added = SigV4Signer(credentials: credentials, region: "us-east-1").headers(
            method: method, path: plain.path, query: SigV4Query.parse(plain.query) ?? [], headers: fields,
            payload: payload, at: Self.now)
        return SigV4IncomingRequest(
            method: method, target: target, headers: fields + added + [(name: "accept", value: "*/*")])
    }

    private func presigned(_ credentials: S3Credentials = credentials, expirySeconds: Int = 60) -> SigV4IncomingRequest
    {
        let query = SigV4Signer(credentials: credentials, region: "us-east-1").presignedQuery(
            method: "GET", host: Self.host, path: "/bucket/a%20b//..%2Bc/%C3%A9~.zip",
            query: [SigV4Parameter("response-content-type", "a/b+c d")], expirySeconds: expirySeconds, at: Self.now)
        return SigV4IncomingRequest(
            method: "GET", target: "/bucket/a%20b//..%2Bc/%C3%A9~.zip?\(query)",
            headers: [(name: "host", value: Self.host)])
    }

    private func replacing(
        _ request: SigV4IncomingRequest, method: String? = nil, path: String? = nil, query: String? = nil,
        headers: ((String, String) -> String?)? = nil
    ) -> SigV4IncomingRequest {
        SigV4IncomingRequest(
            method: method ?? request.method, path: path ?? request.path, query: query ?? request.query,
            headers: request.headers.compactMap { field in
                guard let headers else { return field }
                return headers(field.name.lowercased(), field.value).map { (name: field.name, value: $0) }
            })
    }

    @Test(arguments: [
        SigV4Payload.unsigned, .empty, .streamingUnsignedTrailer, .streamingSigned, .streamingSignedTrailer,
    ])
    func headerSignatureIsAccepted(payload: SigV4Payload) throws {
        let identity = try verify(signed(payload: payload))
        #expect(identity.accessKeyID == "key/with/slash")
        #expect(identity.payload == payload)
        #expect(!identity.isPresigned && identity.expiresAt == nil)
        #expect((identity.chunkSeed != nil) == (payload == .streamingSigned || payload == .streamingSignedTrailer))
    }

    @Test func headersWithSpacesAndRepeatedNamesAreAccepted() {
        let request = signed(extra: [
            (name: "X-Amz-Meta-A", value: "  two   words "), (name: "x-amz-meta-b", value: "1"),
            (name: "X-Amz-Meta-B", value: "2"),
        ])
        #expect(code(request) == "accepted")
    }

    @Test func sessionTokenIsCheckedInBothForms() {
        #expect(code(signed(Self.temporary)) == "accepted")
        #expect(code(presigned(Self.temporary)) == "accepted")
        let wrong = replacing(signed(Self.temporary)) { $0 == "x-amz-security-token" ? "x" : $1 }
        #expect(code(wrong) == "InvalidToken")
        let none = replacing(signed(Self.temporary)) { $0 == "x-amz-security-token" ? nil : $1 }
        #expect(code(none) == "InvalidToken")
    }

    /// Each character of the request's target is changed, one at a time, to one of another class.
    @Test func everyChangedCharacterOfAPresignedURLIsRefused() throws {
        let request = presigned()
        let target = Array("\(request.path)?\(request.query)".utf8)
        var acceptedCount = 0
        for index in target.indices {
            for replacement in "aZ09/%+&=.~-_ ".utf8 where replacement != target[index] {
                var changed = target
                changed[index] = replacement
                let text = String(decoding: changed, as: UTF8.self)
                let other = SigV4IncomingRequest(method: "GET", target: text, headers: request.headers)
                // Another spelling of the same bytes is the same request: `%2B` and `%2b`, a space as `+` or `%20`.
                if same(other, request) {
                    acceptedCount += code(other) == "accepted" ? 1 : 0
                } else {
                    #expect(code(other) != "accepted", "\(index): \(text)")
                }
            }
        }
        #expect(acceptedCount < 10)
    }

    private func same(_ a: SigV4IncomingRequest, _ b: SigV4IncomingRequest) -> Bool {
        guard let left = SigV4Query.parse(a.query), let right = SigV4Query.parse(b.query) else { return false }
        return PercentEncoding.decode(a.path).map { Array($0.utf8) }
            == PercentEncoding.decode(b.path).map { Array($0.utf8) }
            && SigV4Query.canonical(left) == SigV4Query.canonical(right)
    }

    @Test func otherMethodKeyHostAndHeadersAreRefused() {
        let request = signed(extra: [(name: "x-amz-meta-a", value: "1")])
        #expect(code(replacing(request, method: "GET")) == "SignatureDoesNotMatch")
        #expect(code(replacing(request, path: "/bucket/other")) == "SignatureDoesNotMatch")
        #expect(code(replacing(request, path: request.path.replacing("//", with: "/"))) == "SignatureDoesNotMatch")
        #expect(code(replacing(request, query: "")) == "SignatureDoesNotMatch")
        for name in ["host", "x-amz-meta-a"] {
            #expect(code(replacing(request) { $0 == name ? $1 + "1" : $1 }) == "SignatureDoesNotMatch")
            #expect(code(replacing(request) { $0 == name ? nil : $1 }) == "SignatureDoesNotMatch")
        }
        let body = replacing(request) { $0 == "x-amz-content-sha256" ? SigV4Payload.emptySHA256 : $1 }
        #expect(code(body) == "SignatureDoesNotMatch")
        let added = SigV4IncomingRequest(
            method: request.method, path: request.path, query: request.query,
            headers: request.headers + [(name: "X-Amz-Acl", value: "public-read")])
        #expect(code(added) == "AccessDenied")
    }

    @Test func unknownKeyRegionAndClockAreNamed() {
        let stranger = S3Credentials(accessKeyID: "nobody", secretAccessKey: S3Secret("secret"))
        #expect(code(signed(stranger)) == "InvalidAccessKeyId")
        #expect(code(presigned(stranger)) == "InvalidAccessKeyId")
        let forger = S3Credentials(accessKeyID: "key/with/slash", secretAccessKey: S3Secret("guess"))
        #expect(code(signed(forger)) == "SignatureDoesNotMatch")
        #expect(code(presigned(forger)) == "SignatureDoesNotMatch")
        #expect(code(signed(), region: "eu-west-1") == "AuthorizationHeaderMalformed")
        #expect(code(presigned(), region: "eu-west-1") == "AuthorizationQueryParametersError")
        #expect(code(signed(), at: Self.now + .seconds(899)) == "accepted")
        #expect(code(signed(), at: Self.now + .seconds(902)) == "RequestTimeTooSkewed")
        #expect(code(signed(), at: Self.now + .seconds(-902)) == "RequestTimeTooSkewed")
        #expect(code(presigned(), at: Self.now + .seconds(-800)) == "accepted")
        #expect(code(presigned(), at: Self.now + .seconds(-902)) == "AccessDenied")
        #expect(code(presigned(), at: Self.now + .seconds(59)) == "accepted")
        #expect(code(presigned(), at: Self.now + .seconds(60)) == "AccessDenied")
    }

    @Test func brokenAuthorizationHeadersAreNamed() {
        let request = signed()
        let with = { (value: String?) in self.code(self.replacing(request) { $0 == "authorization" ? value : $1 }) }
        #expect(with(nil) == "AccessDenied")
        #expect(with("") == "InvalidRequest")
        #expect(with("AWS AKID:signature") == "InvalidRequest")
        #expect(with("AWS4-HMAC-SHA256") == "AuthorizationHeaderMalformed")
        #expect(
            with("AWS4-HMAC-SHA256 Credential=a, SignedHeaders=host, Signature=b") == "AuthorizationHeaderMalformed")
        #expect(
            with("AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host, Signature=b")
                == "AuthorizationHeaderMalformed")
        let header = request.value("authorization") ?? ""
        #expect(with(header.replacing("/s3/", with: "/sns/")) == "AuthorizationHeaderMalformed")
        #expect(
            with(header.replacing("SignedHeaders=host", with: "SignedHeaders=host;host"))
                == "AuthorizationHeaderMalformed")
        #expect(with(header.replacing("SignedHeaders=host;", with: "SignedHeaders=")) == "AccessDenied")
        #expect(with(String(header.dropLast())) == "SignatureDoesNotMatch")
        #expect(with(header + "0") == "SignatureDoesNotMatch")
        #expect(with(header + ", Signature=00") == "AuthorizationHeaderMalformed")
        for (name, expected) in [("x-amz-date", "AccessDenied"), ("x-amz-content-sha256", "InvalidRequest")] {
            #expect(code(replacing(request) { $0 == name ? nil : $1 }) == expected)
        }
        #expect(code(replacing(request) { $0 == "x-amz-date" ? "20269999T000000Z" : $1 }) == "AccessDenied")
        #expect(code(replacing(request) { $0 == "x-amz-content-sha256" ? "ABC" : $1 }) == "InvalidArgument")
    }

    @Test func brokenQueriesAreNamed() {
        let request = presigned()
        let with = { (change: (String) -> String) in self.code(self.replacing(request, query: change(request.query))) }
        #expect(
            with { $0.replacing("X-Amz-Expires=60", with: "X-Amz-Expires=604801") }
                == "AuthorizationQueryParametersError")
        #expect(
            with { $0.replacing("X-Amz-Expires=60", with: "X-Amz-Expires=-1") } == "AuthorizationQueryParametersError")
        #expect(
            with { $0.replacing("X-Amz-Expires=60", with: "X-Amz-Expires=x") } == "AuthorizationQueryParametersError")
        #expect(with { $0.replacing("X-Amz-Expires=60", with: "X-Amz-Expires=61") } == "SignatureDoesNotMatch")
        #expect(with { $0.replacing("X-Amz-Expires=60&", with: "") } == "AuthorizationQueryParametersError")
        #expect(with { $0 + "&X-Amz-Expires=600" } == "AuthorizationQueryParametersError")
        #expect(with { $0.replacing("HMAC-SHA256", with: "HMAC-SHA1") } == "AuthorizationQueryParametersError")
        #expect(with { $0 + "&extra=1" } == "SignatureDoesNotMatch")
        #expect(with { $0 + "&%zz" } == "InvalidURI")
        #expect(with { _ in "" } == "AccessDenied")
        let both = SigV4IncomingRequest(
            method: "GET", path: request.path, query: request.query,
            headers: request.headers + [(name: "Authorization", value: "AWS4-HMAC-SHA256 x")])
        #expect(code(both) == "InvalidArgument")
    }

    @Test func spellingsOfOneKeyAreOneKey() {
        let request = signed()
        #expect(code(replacing(request, path: request.path.replacing("%C3%A9", with: "%c3%a9"))) == "accepted")
        #expect(code(replacing(request, path: request.path.replacing("~", with: "%7E"))) == "accepted")
        #expect(SigV4Verifier.isSigned(request) && SigV4Verifier.isSigned(presigned()))
        #expect(!SigV4Verifier.isSigned(SigV4IncomingRequest(method: "GET", target: "/b/k?x=1", headers: [])))
    }
}
