import Foundation
import FunctionKit
import Testing

@testable import ObjectStorage

/// The fixture is written by botocore; see `Tests/Integration/test_presign.py`.
@Suite struct PresignerTests {
    struct Fixture: Decodable {
        struct Case: Decodable, Sendable, CustomTestStringConvertible {
            let endpoint: String
            let bucket: String
            let addressing: String
            let region: String
            let key: String
            let method: String
            let expiresSeconds: Int
            let sessionToken: String?
            let fileName: String?
            let disposition: String?
            let url: String
            var testDescription: String { "\(method) \(endpoint) \(key.prefix(40).debugDescription)" }
        }
        let timestampMs: Int64
        let accessKeyID: String
        let secretAccessKey: String
        let cases: [Case]
    }

    static let fixture: Fixture? = {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("Fixtures/presigned.json")
        return try? JSONDecoder().decode(Fixture.self, from: Data(contentsOf: file))
    }()

    let now = Timestamp(milliseconds: fixture?.timestampMs ?? 0)
    static let cases = fixture?.cases ?? []

    private func credentials(_ item: Fixture.Case) -> S3Credentials {
        S3Credentials(
            accessKeyID: Self.fixture?.accessKeyID ?? "",
            secretAccessKey: S3Secret(Self.fixture?.secretAccessKey ?? ""),
            sessionToken: item.sessionToken.map { S3Secret($0) })
    }

    @Test func fixtureHasSixtyKeysAndMore() {
        #expect(Set(Self.cases.map { Array($0.key.utf8) }).count >= 60)
    }

    @Test(arguments: cases) func equalsBotocore(_ item: Fixture.Case) throws {
        let presigner = S3Presigner(
            endpoint: try S3Endpoint(item.endpoint), bucket: item.bucket,
            addressing: try #require(S3Addressing(rawValue: item.addressing)),
            signer: SigV4Signer(credentials: credentials(item), region: item.region))
        let disposition = item.fileName.map { S3ContentDisposition.attachment(fileName: $0) }
        #expect(disposition == item.disposition)
        let url = presigner.url(
            method: item.method, key: item.key,
            query: disposition.map { [SigV4Parameter("response-content-disposition", $0)] } ?? [],
            expirySeconds: item.expiresSeconds, at: now)
        #expect(parts(url) == parts(item.url))
    }

    @Test(arguments: cases) func verifierAcceptsBotocoreUntilExpiry(_ item: Fixture.Case) throws {
        let rest = item.url.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false)[2]
        let slash = try #require(rest.firstIndex(of: "/"))
        // What a client sends: the port only where it is not the scheme's own.
        var host = String(rest[..<slash])
        let ownPort = item.url.hasPrefix("https:") ? ":443" : ":80"
        if host.hasSuffix(ownPort) { host = String(host.dropLast(ownPort.count)) }
        let request = SigV4IncomingRequest(
            method: item.method, target: String(rest[slash...]), headers: [(name: "Host", value: host)])
        let verify = { (seconds: Int) throws(SigV4Rejection) -> SigV4Identity in
            try SigV4Verifier(region: item.region).verify(
                request, now: now + .seconds(seconds)
            ) { _ in credentials(item) }
        }
        #expect(try verify(0).isPresigned)
        #expect(try verify(item.expiresSeconds - 1).payload == .unsigned)
        let refusal = #expect(throws: SigV4Rejection.self) { try verify(item.expiresSeconds) }
        #expect(refusal?.code == "AccessDenied")
        #expect(refusal?.message == "Request has expired")
    }

    /// Everything before the query as it is, and the query's parts in any order.
    private func parts(_ url: String) -> [String] {
        let halves = url.split(separator: "?", maxSplits: 1).map { String($0) }
        return [halves[0]] + halves[1].split(separator: "&").map { String($0) }.sorted()
    }
}
