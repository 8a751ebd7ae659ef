import FunctionKit
import NIOCore
import Testing

@testable import Downloads

@Suite struct RequestTests {
    private func details(_ body: String) async -> [String] {
        let error = await httpError { try DownloadRequest(.post(body), defaultPolicy: .skip) }
        guard error?.status == .badRequest, error?.code == "validation_failed" else {
            return ["\(String(describing: error))"]
        }
        return error?.details.map { "\($0.field): \($0.problem)" } ?? []
    }

    @Test(arguments: [
        "70000.5", "70000.0", "7e4", "\"70000\"", "true", "null", "1e400", "[70000]", "{}", "-1.5e3",
    ])
    func whatIsNoIntegerIsToldSo(_ id: String) async {
        #expect(await details("{\"file_ids\":[\(id)]}") == ["file_ids[0]: must be an integer"])
        let error = await httpError { try FileRequest(.post("{\"file_id\":\(id)}")) }
        #expect(error?.details == [.init(field: "file_id", problem: "must be an integer")])
    }

    @Test(arguments: [
        "9999", "100000001", "0", "-70000", "-0", "9223372036854775807", "9223372036854775808",
        "-9223372036854775809", "123456789012345678901234567890",
    ])
    func whatIsOutOfRangeIsToldSo(_ id: String) async {
        #expect(await details("{\"file_ids\":[\(id)]}") == ["file_ids[0]: must be 10000 to 100000000"])
    }

    @Test(arguments: [
        (#"{}"#, ["file_ids: is required"]),
        (#"{"file_ids":[]}"#, ["file_ids: must not be empty"]),
        (#"{"file_ids":70000}"#, ["file_ids: must be an array of integers"]),
        (#"{"file_ids":null}"#, ["file_ids: must be an array of integers"]),
        (#"{"file_ids":[70000],"file_ids":[1]}"#, ["file_ids: is given twice"]),
        (#"{"file_ids":[70000],"callback":"x"}"#, ["callback: is not known"]),
        (
            #"{"file_ids":[70000],"callback_url":"x"}"#,
            ["callback_url: cannot be used: this host has no callbacks.secret"]
        ),
        (#"{"file_ids":[70000],"on_missing":"ignore"}"#, [#"on_missing: must be "skip" or "fail""#]),
        (#"{"file_ids":[70000],"on_missing":null}"#, [#"on_missing: must be "skip" or "fail""#]),
        (#"{"file_ids":[70000],"archive_name":""}"#, ["archive_name: must have 1 to 128 characters"]),
        (#"{"file_ids":[70000],"archive_name":7}"#, ["archive_name: must be a string"]),
        (#"[70000]"#, [": must be an object"]),
        (#""x""#, [": must be an object"]),
        (
            #"{"file_ids":[1,70000,"2",1e400],"archive_name":1,"on_missing":2,"extra":3}"#,
            [
                "extra: is not known", "file_ids[0]: must be 10000 to 100000000", "file_ids[2]: must be an integer",
                "file_ids[3]: must be an integer", "archive_name: must be a string",
                #"on_missing: must be "skip" or "fail""#,
            ]
        ),
    ])
    func everyProblemIsInTheAnswer(_ body: String, _ problems: [String]) async {
        #expect(await details(body) == problems)
    }

    @Test(arguments: [
        "", " ", "{", "nul", "{\"file_ids\":[70000]} x", "{\"file_ids\":[70000,]}", "{'file_ids':[70000]}",
        "{\"file_ids\":[070000]}", "{\"file_ids\":[+70000]}", "{\"file_ids\":[.5]}", "{\"file_ids\":[1.]}",
        "{\"a\":\"\u{1}\"}", "{\"a\":\"\\ud800\"}", "{\"a\":\"\\x\"}", "{\"file_ids\":[NaN]}",
    ])
    func whatIsNotJSONIsMalformed(_ body: String) async {
        let error = await httpError { try DownloadRequest(.post(body), defaultPolicy: .skip) }
        #expect(error?.status == .badRequest)
        #expect(error?.code == "malformed_json")
    }

    @Test func bytesThatAreNotUTF8AreMalformed() async {
        let body = ByteBuffer(bytes: Array("{\"a\":\"".utf8) + [0xFF] + Array("\"}".utf8))
        let request = Request(method: .post, path: "/", body: body)
        #expect(await httpError { try FileRequest(request) }?.code == "malformed_json")
    }

    @Test func deepNestingIsMalformedAndDoesNotCrash() async {
        let body = String(repeating: "[", count: 500_000)
        #expect(await httpError { try FileRequest(.post(body)) }?.code == "malformed_json")
    }

    @Test func anotherContentTypeIsRefused() async {
        let request = Request.post(#"{"file_ids":[70000]}"#, type: "text/plain")
        #expect(await httpError { try DownloadRequest(request, defaultPolicy: .skip) }?.status == .unsupportedMediaType)
        #expect(throws: Never.self) { try FileRequest(.post(#"{"file_id":70000}"#, type: nil)) }
    }

    @Test func boundsThemselvesAreAllowed() throws {
        let request = try DownloadRequest(.post(#"{"file_ids":[10000,100000000]}"#), defaultPolicy: .fail)
        #expect(request.fileIDs == [10_000, 100_000_000])
        #expect(request.options == DownloadOptions(archiveName: nil, onMissing: .fail))
        let thousand = Array(20_000..<21_000)
        #expect(
            try DownloadRequest(.post("{\"file_ids\":\(thousand)}"), defaultPolicy: .skip).fileIDs.count == 1_000)
    }

    @Test func duplicatesCountOnceAndKeepTheFirstPlace() throws {
        let request = try DownloadRequest(.post(#"{"file_ids":[70001,70000,70001,70000]}"#), defaultPolicy: .skip)
        #expect(request.fileIDs == [70_001, 70_000])
    }

    @Test func tooManyAreToldOnceAndTheAnswerIsBounded() async {
        let many = Array(20_000...21_000)
        #expect(
            await details("{\"file_ids\":\(many)}") == ["file_ids: must have at most 1000 elements, not 1001"])
        let wrong = "{\"file_ids\":[" + Array(repeating: "1", count: 200_000).joined(separator: ",") + "]}"
        #expect(await details(wrong).count == 1_001)
        let keys = (0..<20_000).map { "\"k\($0)\":0" }.joined(separator: ",")
        #expect(await details("{\(keys)}").count == 1_024)
    }

    @Test func optionsAreReadAndSurviveTheRecord() throws {
        let body = #"{"file_ids":[70000],"archive_name":"M\u00fcll \ud83d\udea2","on_missing":"fail"}"#
        let options = try DownloadRequest(.post(body), defaultPolicy: .skip).options
        #expect(options == DownloadOptions(archiveName: "Müll 🚢.zip", onMissing: .fail))
        #expect(DownloadOptions(json: options.json) == options)
        #expect(DownloadOptions(json: "broken") == DownloadOptions())
    }

    @Test(
        arguments: [
            ("report", "report.zip"), ("report.ZIP", "report.ZIP"), ("a/b\\c:d", "a_b_c_d.zip"),
            ("../../etc/passwd", "_.._etc_passwd.zip"), (" .hidden. ", "hidden.zip"), ("a\u{0}b\r\nc", "abc.zip"),
            ("abc\u{202E}piz", "abcpiz.zip"), ("\"q\"<>|?*", "_q______.zip"), ("Жук", "Жук.zip"),
        ] as [(String, String?)])
    func namesAreMadeSafe(_ text: String, _ name: String?) {
        #expect(ArchiveName.sanitised(text) == name)
    }

    @Test(arguments: ["", ".", "..", "/", "///", " ", "\u{7}", "\u{200B}"])
    func namesWithNothingInThemAreNone(_ text: String) {
        #expect(ArchiveName.sanitised(text) == nil)
    }

    @Test(arguments: [
        ("6f9619ff-8b86-4d01-b42d-00cf4fc964ff", true), ("6F9619FF-8B86-4D01-B42D-00CF4FC964FF", true),
        ("6f9619ff-8b86-1d01-b42d-00cf4fc964ff", false), ("6f9619ff-8b86-4d01-c42d-00cf4fc964ff", false),
        ("6f9619ff-8b86-4d01-742d-00cf4fc964ff", false), ("6f9619ff8b864d01b42d00cf4fc964ff", false),
        ("6f9619ff-8b86-4d01-b42d-00cf4fc964f", false), ("6f9619ff-8b86-4d01-b42d-00cf4fc964fg", false),
        ("6f9619ff-8b86-4d01-b42d_00cf4fc964ff", false), ("", false), ("nonsense", false),
        ("6f9619ff-8b86-4d01-b42d-00cf4fc964\u{e9}", false), ("\u{10}f9619ff-8b86-4d01-b42d-00cf4fc964ff", false),
    ])
    func jobIDsAreUUIDsOfVersion4(_ text: String, _ isValid: Bool) async {
        #expect((JobID(text) != nil) == isValid)
        let error = await httpError { try Request.get(text).jobID() }
        #expect((error?.status == .badRequest) == !isValid)
        #expect((error?.code == "validation_failed") == !isValid)
    }

    @Test func newIDsAreValidAndDiffer() {
        let ids = (0..<1_000).map { _ in JobID() }
        #expect(Set(ids).count == 1_000)
        #expect(ids.allSatisfy { JobID($0.description) == $0 })
        // Every free digit takes on many values.
        for place in 0..<36 where ![8, 13, 14, 18, 19, 23].contains(place) {
            #expect(Set(ids.map { Array($0.description)[place] }).count == 16)
        }
    }
}
