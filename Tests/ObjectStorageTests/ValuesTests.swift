import Checksum
import FunctionKit
import NIOCore
import Testing

@testable import ObjectStorage

@Suite struct ValuesTests {
    @Test func encodesPathsAndComponents() {
        #expect(SigV4Encoding.path("/a b//../+*'~é%") == "/a%20b//../%2B%2A%27~%C3%A9%25")
        #expect(SigV4Encoding.component("a/b=c&d e") == "a%2Fb%3Dc%26d%20e")
    }

    @Test func ordersQueriesByBytes() {
        let query = SigV4Query.parse("b=2&a=%2F&B=1&a=+&a&é=x")
        #expect(query.map { SigV4Query.canonical($0) } == "%C3%A9=x&B=1&a=&a=%20&a=%2F&b=2")
        #expect(SigV4Query.parse("a=%zz") == nil && SigV4Query.parse("a=%FF") == nil)
    }

    @Test func readsDates() {
        let date = SigV4Date(Timestamp(milliseconds: 1_369_353_600_999))
        #expect(date.dateTime == "20130524T000000Z" && date.day == "20130524")
        #expect(SigV4Date(parsing: "20130524T000000Z") == date)
        #expect(SigV4Date(parsing: "20240229T235959Z")?.timestamp.description == "2024-02-29T23:59:59.000Z")
        for wrong in [
            "20230229T000000Z", "20131301T000000Z", "20130524T240000Z", "20130524 000000Z", "", "2013052AT000000Z",
        ] {
            #expect(SigV4Date(parsing: wrong) == nil)
        }
        #expect(Timestamp(s3: "2009-10-12T17:50:30.000Z")?.description == "2009-10-12T17:50:30.000Z")
        #expect(Timestamp(s3: "Mon, 12 Oct 2009 17:50:30 GMT")?.description == "2009-10-12T17:50:30.000Z")
        #expect(Timestamp(s3: "yesterday") == nil && Timestamp(s3: "Mon, 99 Oct 2009 17:50:30 GMT") == nil)
        for day in stride(from: -20_000, to: 40_000, by: 17) {
            let time = Timestamp(milliseconds: Int64(day) * 86_400_000 + 3_723_000)
            #expect(SigV4Date(parsing: SigV4Date(time).dateTime)?.timestamp == time)
        }
    }

    @Test func checksums() {
        var crc = CRC32()
        crc.update(ByteBuffer(string: "123456789"))
        #expect(crc.value == 0xCBF4_3926)
        #expect(S3Checksum.encode(crc.value) == "y/Q5Jg==")
        for value in [0, 1, 0xDEAD_BEEF, UInt32.max] { #expect(S3Checksum.decode(S3Checksum.encode(value)) == value) }
        for wrong in ["", "AAAAAA=", "AAAAAA==-2", "AAAAAB==", "AAAA*A=="] { #expect(S3Checksum.decode(wrong) == nil) }
        let bytes = (0..<300).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        for split in 0...bytes.count {
            var whole = CRC32()
            whole.update(ByteBuffer(bytes: bytes))
            var parts = CRC32()
            parts.update(ByteBuffer(bytes: bytes[..<split]))
            parts.update(ByteBuffer(bytes: bytes[split...]))
            #expect(parts.value == whole.value)
        }
        #expect(Hexadecimal.encode(MessageDigest.digest(.md5, of: "")) == "d41d8cd98f00b204e9800998ecf8427e")
        #expect(S3Checksum.base64(Array("light work.".utf8)) == "bGlnaHQgd29yay4=")
    }

    @Test func entityTagOfPartsIsMD5OfMD5s() {
        let part = { ObjectPart(number: $0, etag: "\"d41d8cd98f00b204e9800998ecf8427e\"") }
        #expect(S3MultipartManifest.entityTag([part(1), part(2)]) == "\"5873dd45edd01f09c1ef2e7819369e8e-2\"")
        #expect(S3MultipartManifest.entityTag([ObjectPart(number: 1, etag: "\"opaque\"")]) == nil)
    }

    @Test func secretsPrintAsRedacted() {
        let credentials = S3Credentials(
            accessKeyID: "id", secretAccessKey: S3Secret("hush"), sessionToken: S3Secret("hush"))
        var dumped = ""
        dump(credentials, to: &dumped)
        for text in ["\(credentials)", String(reflecting: credentials), dumped] {
            #expect(!text.contains("hush") && text.contains("id"))
        }
    }

    @Test(arguments: [
        ("http://localhost", "localhost", "localhost"), ("HTTP://LocalHost:80/", "localhost", "localhost:80"),
        ("http://localhost:9000", "localhost:9000", "localhost:9000"), ("https://h:80", "h:80", "h:80"),
        ("https://h:443", "h", "h:443"), ("http://[::1]:9000", "[::1]:9000", "[::1]:9000"),
        ("https://[::1]", "[::1]", "[::1]"),
    ])
    func readsEndpoints(text: String, authority: String, urlAuthority: String) throws {
        let endpoint = try S3Endpoint(text)
        #expect(endpoint.authority == authority && endpoint.urlAuthority == urlAuthority)
    }

    @Test(arguments: [
        "", "localhost:9000", "ftp://h", "http://", "http://:9000", "http://h:", "http://h:0", "http://h:65536",
        "http://h:1x",
        "http://u@h", "http://h/path", "http://h?x", "http://h#x", "http://[::1", "http://[h]", "http://a b",
        "http://h:+1",
    ])
    func refusesEndpoints(_ text: String) {
        let error = #expect(throws: S3Error.self) { try S3Endpoint(text) }
        #expect(error?.code == .configuration)
    }

    @Test func configurationIsChecked() throws {
        let credentials = S3Credentials(accessKeyID: "id", secretAccessKey: S3Secret("x"))
        let aws = try S3Configuration(bucket: "bucket", region: "eu-west-2", credentials: credentials)
        #expect(aws.addressing == .virtualHost && aws.endpoint.description == "https://s3.eu-west-2.amazonaws.com")
        #expect(S3Endpoint.aws(region: "cn-north-1").host == "s3.cn-north-1.amazonaws.com.cn")
        let local = try S3Configuration(
            bucket: "bucket", endpoint: S3Endpoint("http://127.0.0.1:9000"), credentials: credentials)
        #expect(local.addressing == .path && local.publicEndpoint == local.endpoint)
        for bucket in ["", "ab", "Upper", "under_score", "-x-", "a..b", "a/b", String(repeating: "a", count: 64)] {
            #expect(throws: S3Error.self) { try S3Configuration(bucket: bucket, credentials: credentials) }
        }
        #expect(throws: S3Error.self) {
            try S3Configuration(
                bucket: "bucket", endpoint: S3Endpoint("http://127.0.0.1:9000"), addressing: .virtualHost,
                credentials: credentials)
        }
        #expect(throws: S3Error.self) { try S3Configuration(bucket: "bucket", region: "", credentials: credentials) }
        #expect(throws: S3Error.self) {
            try S3Configuration(bucket: "bucket", credentials: credentials, timeout: .zero)
        }
    }

    @Test func backsOffExponentiallyWithJitter() {
        let policy = S3RetryPolicy(attemptCount: 9, baseDelay: .seconds(1), maximumDelay: .seconds(30))
        #expect((1...7).map { policy.delay(after: $0, random: 1) } == [1, 2, 4, 8, 16, 30, 30].map { .seconds($0) })
        #expect(policy.delay(after: 2, random: 0) == .seconds(1))
        #expect(policy.delay(after: Int.max, random: 1) == .seconds(30))
    }
}
