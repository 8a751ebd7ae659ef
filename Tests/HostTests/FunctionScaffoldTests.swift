import FunctionKit
import Testing

@testable import Host

struct FunctionScaffoldTests {
    private static let time = Timestamp(milliseconds: 0)

    @Test(arguments: [
        ("/a/:b/c", "/a/b/c"), ("/", "/"), ("/a/", "/a/"), ("/ä", "/%C3%A4"), ("/a\"b", "/a%22b"),
    ])
    func `a sample's path is sent as the pattern wants it`(pattern: String, path: String) {
        #expect(FunctionSample.requestPath(pattern) == path)
    }

    @Test(arguments: FunctionManifest.QueueMoment.allCases)
    func `samples are JSON, and name their queue`(moment: FunctionManifest.QueueMoment) throws {
        let sample = try FunctionSample(.queue(name: "a\"b", on: moment), at: Self.time)
        let json = try PositionedJSON.parse(Array(sample.text.utf8))
        #expect(json["queue"]?.string == "a\"b")
        #expect((json["kind"]?.string == nil) == (moment == .process))
        #expect(json["expect"] == nil)
    }

    @Test func `a handler's type is a Swift name`() {
        func name(_ name: String) -> String {
            FunctionTemplate(name: name, trigger: .schedule(pattern: "@daily", timeZone: "UTC")).typeName
        }
        #expect(name("send-mail") == "SendMailHandler")
        #expect(name("7-days") == "Function7DaysHandler")
        #expect(name("request") == "RequestHandler")
    }
}
