import FunctionKit
import NIOCore
import Testing

@testable import ObjectStorage

/// The worked examples of the Amazon S3 API reference, "Authenticating Requests (AWS Signature Version 4)".
@Suite struct SigV4ExamplesTests {
    static let credentials = S3Credentials(
        accessKeyID: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: S3Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"))
    static let now = Timestamp(milliseconds: 1_369_353_600_000)
    static let signer = SigV4Signer(credentials: credentials, region: "us-east-1")
    static let host = (name: "Host", value: "examplebucket.s3.amazonaws.com")

    private func signature(
        _ method: String, _ path: String, _ query: [SigV4Parameter] = [],
        _ headers: [(name: String, value: String)] = [], payload: SigV4Payload = .empty
    ) -> String {
        let added = Self.signer.headers(
            method: method, path: path, query: query, headers: [Self.host] + headers, payload: payload, at: Self.now)
        return String(added.first { $0.name == "authorization" }?.value.suffix(64) ?? "")
    }

    @Test func getObject() {
        let added = Self.signer.headers(
            method: "GET", path: "/test.txt", query: [], headers: [Self.host, (name: "Range", value: "bytes=0-9")],
            payload: .empty, at: Self.now)
        #expect(
            added.map { "\($0.name): \($0.value)" } == [
                "x-amz-date: 20130524T000000Z",
                "x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                "authorization: AWS4-HMAC-SHA256 "
                    + "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
                    + "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
                    + "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            ])
    }

    @Test func putObject() {
        let body = Hexadecimal.encode(MessageDigest.digest(.sha256, of: "Welcome to Amazon S3."))
        #expect(
            signature(
                "PUT", SigV4Encoding.path("/test$file.text"), [],
                [
                    (name: "Date", value: "Fri, 24 May 2013 00:00:00 GMT"),
                    (name: "x-amz-storage-class", value: "REDUCED_REDUNDANCY"),
                ], payload: .sha256(body)) == "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd")
    }

    @Test func bucketLifecycle() {
        #expect(
            signature("GET", "/", [SigV4Parameter("lifecycle")])
                == "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")
    }

    @Test func listObjects() {
        #expect(
            signature("GET", "/", [SigV4Parameter("prefix", "J"), SigV4Parameter("max-keys", "2")])
                == "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")
    }

    @Test func presignedURL() {
        let query = Self.signer.presignedQuery(
            method: "GET", host: Self.host.value, path: "/test.txt", query: [], expirySeconds: 86_400, at: Self.now)
        #expect(
            query
                == "X-Amz-Algorithm=AWS4-HMAC-SHA256"
                + "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
                + "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
                + "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404")
    }

    @Test func preparedSignerSignsTheSameAndFollowsTheDay() {
        let prepared = Self.signer.prepared(for: Self.now)
        for time in [Self.now, Self.now + .seconds(86_400)] {
            let sign = { (signer: SigV4Signer) in
                signer.presignedQuery(method: "GET", host: "h", path: "/k", query: [], expirySeconds: 1, at: time)
            }
            #expect(sign(prepared) == sign(Self.signer))
        }
    }

    /// 64 KiB and 1 KiB of `a` in signed chunks.
    @Test func chunkedUploadIsVerified() throws {
        let request = SigV4IncomingRequest(
            method: "PUT", target: "/examplebucket/chunkObject.txt",
            headers: [
                (name: "Host", value: "s3.amazonaws.com"), (name: "x-amz-date", value: "20130524T000000Z"),
                (name: "x-amz-storage-class", value: "REDUCED_REDUNDANCY"),
                (
                    name: "Authorization",
                    value: "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
                        + "SignedHeaders=content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;"
                        + "x-amz-decoded-content-length;x-amz-storage-class,"
                        + "Signature=4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
                ),
                (name: "x-amz-content-sha256", value: "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
                (name: "Content-Encoding", value: "aws-chunked"),
                (name: "x-amz-decoded-content-length", value: "66560"), (name: "Content-Length", value: "66824"),
            ])
        let identity = try SigV4Verifier(region: "us-east-1").verify(request, now: Self.now) {
            $0 == Self.credentials.accessKeyID ? Self.credentials : nil
        }
        #expect(identity.payload == .streamingSigned)
        var decoder = try AWSChunkedDecoder(
            payload: identity.payload, seed: identity.chunkSeed, decodedLengthBytes: 66_560, trailer: nil)
        var body = ByteBuffer()
        for (length, signature) in [
            (65_536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
            (1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
            (0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
        ] {
            body.writeString("\(String(length, radix: 16));chunk-signature=\(signature)\r\n")
            body.writeRepeatingByte(UInt8(ascii: "a"), count: length)
            body.writeString("\r\n")
        }
        #expect(body.readableBytes == 66_824)
        var decodedBytes = 0
        while let piece = try decoder.next(&body) { decodedBytes += piece.readableBytes }
        #expect(decodedBytes == 66_560)
        _ = try decoder.finish()
    }
}
