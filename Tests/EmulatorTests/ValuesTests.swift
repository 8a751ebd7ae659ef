import FunctionKit
import NIOCore
import ObjectStorage
import Testing

@testable import Emulator

@Suite struct ValuesTests {
    @Test(
        arguments: [
            ("bytes=0-0", 10, ByteRange.Selection.part(0..<1)),
            ("bytes=2-5", 10, .part(2..<6)),
            ("bytes=2-", 10, .part(2..<10)),
            ("bytes=2-99", 10, .part(2..<10)),
            ("Bytes=-3", 10, .part(7..<10)),
            ("bytes=-30", 10, .part(0..<10)),
            ("bytes=0-9223372036854775807", 10, .part(0..<10)),
            ("bytes=0-99999999999999999999", 10, .part(0..<10)),
            ("bytes=10-", 10, .unsatisfiable),
            ("bytes=99999999999999999999-", 10, .unsatisfiable),
            ("bytes=-0", 10, .unsatisfiable),
            ("bytes=0-", 0, .unsatisfiable),
            ("bytes=-1", 0, .unsatisfiable),
            ("bytes=5-2", 10, .whole),
            ("bytes=-", 10, .whole),
            ("bytes=a-b", 10, .whole),
            ("bytes=0-1,4-5", 10, .whole),
            ("items=0-1", 10, .whole),
            ("", 10, .whole),
        ] as [(String, Int64, ByteRange.Selection)])
    func selectsARange(_ header: String, _ size: Int64, _ expected: ByteRange.Selection) {
        #expect(ByteRange.select(header, sizeBytes: size) == expected)
    }

    @Test func withoutARangeTheWholeIsMeant() {
        #expect(ByteRange.select(nil, sizeBytes: 10) == .whole)
    }

    @Test func aCopiedRangeMustLieWithinTheSource() throws {
        #expect(try ByteRange.copySource("bytes=0-9", sizeBytes: 10) == 0..<10)
        for wrong in ["bytes=0-10", "bytes=0-", "bytes=-5", "0-5", "bytes=5-1", ""] {
            #expect(throws: S3Fault.self) { try ByteRange.copySource(wrong, sizeBytes: 10) }
        }
    }

    @Test func conditionsFollowTheStandardsOrder() {
        let time = Timestamp(milliseconds: 784_111_777_500)
        let at = "Sun, 06 Nov 1994 08:49:37 GMT"
        let before = "Sun, 06 Nov 1994 08:49:36 GMT"
        func outcome(_ set: (inout Preconditions) -> Void) -> Preconditions.Outcome {
            var conditions = Preconditions()
            set(&conditions)
            return conditions.evaluate(etag: "abc", modifiedAt: time)
        }
        #expect(outcome { _ in } == .proceed)
        #expect(outcome { $0.ifMatch = "\"abc\"" } == .proceed)
        #expect(outcome { $0.ifMatch = "\"x\", \"abc\"" } == .proceed)
        #expect(outcome { $0.ifMatch = "\"x\"" } == .failed)
        #expect(outcome { $0.ifNoneMatch = "*" } == .notModified)
        #expect(outcome { $0.ifNoneMatch = "W/\"abc\"" } == .notModified)
        #expect(outcome { $0.ifNoneMatch = "x" } == .proceed)
        #expect(outcome { $0.ifModifiedSince = at } == .notModified)
        #expect(outcome { $0.ifModifiedSince = before } == .proceed)
        #expect(outcome { $0.ifModifiedSince = "yesterday" } == .proceed)
        #expect(outcome { $0.ifUnmodifiedSince = before } == .failed)
        #expect(outcome { $0.ifUnmodifiedSince = at } == .proceed)
        #expect(outcome { ($0.ifMatch, $0.ifUnmodifiedSince) = ("abc", before) } == .proceed)
        #expect(outcome { ($0.ifNoneMatch, $0.ifModifiedSince) = ("x", at) } == .proceed)
    }

    @Test func datesAreThoseOfHTTP() {
        let time = Timestamp(milliseconds: 784_111_777_999)
        #expect(HTTPDate.text(time) == "Sun, 06 Nov 1994 08:49:37 GMT")
        #expect(HTTPDate.seconds("Sun, 06 Nov 1994 08:49:37 GMT") == 784_111_777)
        for wrong in ["", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nix 1994 08:49:37 GMT", "06 Nov 1994 08:49 GMT"] {
            #expect(HTTPDate.seconds(wrong) == nil)
        }
    }

    @Test func metadataIsReadAsItWasWritten() {
        let metadata = ObjectMetadata(
            etag: "0123-4", crc32: 0xFF, uploadID: "u",
            fields: [.init(name: "content-type", value: "a/b; c=d"), .init(name: "x-amz-meta-a", value: "x: y")])
        #expect(ObjectMetadata(text: metadata.text) == metadata)
        for cut in [0, 5, metadata.text.utf8.count - 1] {
            #expect(ObjectMetadata(text: String(metadata.text.prefix(cut))) == nil)
        }
    }

    @Test func requestsXMLIsRead() throws {
        let text = """
            <?xml version="1.0"?><!-- x --><s3:Delete xmlns:s3="http://a/>">
              <Object><Key>a&amp;b&#x20;&#100;<![CDATA[<c>]]></Key></Object><Quiet a='b'/></s3:Delete>

            """
        let node = try XMLNode.parse(Array(text.utf8), root: "Delete")
        #expect(node["Object"]?["Key"]?.text == "a&b d<c>")
        #expect(node["Quiet"]?.text == "")
    }

    @Test(arguments: [
        "", "text", "<Delete>", "<Delete></Other>", "<Other/>", "<Delete/><Delete/>", "<Delete>&unknown;</Delete>",
        "<Delete>&#xD800;</Delete>", "<!DOCTYPE x [<!ENTITY a \"b\">]><Delete/>", "<Delete a></Delete>", "<Delete",
        String(repeating: "<Delete>", count: 100_000),
    ])
    func otherXMLIsRefused(_ text: String) {
        #expect(throws: S3Fault.malformedXML) { try XMLNode.parse(Array(text.utf8), root: "Delete") }
    }

    @Test func textIsEscaped() {
        let text = XMLText.document("A") { $0.element("B", "<&>\"\u{1}\r") }
        #expect(text == "<A xmlns=\"\(XMLText.namespace)\"><B>&lt;&amp;&gt;&quot;&#x1;&#xD;</B></A>")
    }

    @Test func aHostBelowTheEndpointsNamesABucket() {
        let names = ["localhost", "s3.localhost"]
        #expect(S3Request.bucket(ofHost: "photos.localhost:9000", below: names) == "photos")
        #expect(S3Request.bucket(ofHost: "my.photos.S3.localhost", below: names) == "my.photos")
        for none in ["localhost:9000", "s3.localhost:1", "127.0.0.1:9000", "[::1]:9000", "example.org", ""] {
            #expect(S3Request.bucket(ofHost: none, below: names) == nil)
        }
    }

    @Test func continuationTokensLeadBack() {
        #expect(ContinuationToken.marker(of: ContinuationToken.text("a/ü%")) == "a/ü%")
        for wrong in ["", "1", "zz", "ff"] { #expect(ContinuationToken.marker(of: wrong) == nil) }
    }

    @Test(arguments: [
        "ab", "Abc", "a..b", "-ab", "ab-", "192.168.0.1", "a_b", "../x", String(repeating: "a", count: 64),
    ])
    func wrongBucketNamesAreRefused(_ name: String) {
        #expect(!S3FileStore.isBucketName(name))
    }

    @Test func repliesOfRedisAreReadWhole() {
        #expect(RedisProbe.parse(Array("+PONG\r\n".utf8)) == "PONG")
        #expect(RedisProbe.parse(Array("-LOADING x\r\n".utf8)) == "-LOADING x")
        #expect(RedisProbe.parse(Array("$5\r\nhello\r\n".utf8)) == "hello")
        for cut in 0..<11 { #expect(RedisProbe.parse(Array("$5\r\nhello\r\n".utf8.prefix(cut))) == nil) }
    }
}
