import Testing

@testable import Host

/// What fixtures expect, compared with what came.
struct ExpectationTests {
    private func differences(_ expect: String, _ answer: String, isExact: Bool = false) throws -> [String] {
        let fixture = try PositionedJSON.parse(Array(#"{"path":"/","expect":\#(expect)}"#.utf8))
        let found = try Expectation(of: fixture, isExact: isExact).differences(
            from: try PositionedJSON.parse(Array(answer.utf8)))
        return found.map { "\($0.path): \($0.expected ?? "-") \($0.actual ?? "-")" }
    }

    private static let answer =
        #"{"status":200,"headers":{"x-a":"1","content-type":"application/json"},"body":"{\"a\":{\"b\":[1,2.0]},\"c\":\"x\"}"}"#

    @Test(arguments: [
        #"{}"#, #"{"status":200}"#, #"{"headers":{"X-A":"1","x-none":null}}"#, #"{"body":{}}"#,
        #"{"body":{"a":{"b":[1.0,2]}}}"#, #"{"body":{"c":"a<redacted>"}}"#, #"{"body":{"a":"<redacted>"}}"#,
        #"{"body":"{\"a\":{\"b\":[1,2.0]},\"c\":\"x\"}"}"#,
    ])
    func `what is not named is not compared`(expect: String) throws {
        #expect(try differences(expect, Self.answer) == [])
    }

    @Test(arguments: [
        (#"{"status":201}"#, ["status: 201 200"]), (#"{"headers":{"x-a":"2"}}"#, [#"headers.x-a: "2" "1""#]),
        (#"{"headers":{"x-a":null}}"#, [#"headers.x-a: null "1""#]),
        (#"{"headers":{"x-b":"1"}}"#, [#"headers.x-b: "1" -"#]),
        (#"{"body":{"a":{"b":[1,3]}}}"#, ["body.a.b[1]: 3 2.0"]),
        (#"{"body":{"a":{"b":[1]}}}"#, ["body.a.b[1]: - 2.0"]),
        (#"{"body":{"a":{"b":[1,2,{}]}}}"#, ["body.a.b[2]: {} -"]),
        (#"{"body":{"c":null,"d":1}}"#, [#"body.c: null "x""#, "body.d: 1 -"]),
        (#"{"outcome":"completed"}"#, [#"outcome: "completed" -"#]),
        (#"{"body":"y"}"#, [#"body: "y" "{\"a\":{\"b\":[1,2.0]},\"c\":\"x\"}""#]),
    ])
    func `each difference has its place`(expect: String, expected: [String]) throws {
        #expect(try differences(expect, Self.answer) == expected)
    }

    @Test(arguments: [
        (#"{"status":404,"body":""}"#, ["status: 2xx 404"]),
        (#"{"outcome":"retry"}"#, [#"outcome: "completed" "retry""#]),
        (#"{"status":101,"messages":[],"ended":"failed"}"#, [#"ended: - "failed""#]), (#"{"status":204}"#, []),
        (#"{"status":101,"messages":[],"ended":"messages"}"#, []),
    ])
    func `without a status or an outcome the call is to succeed`(answer: String, expected: [String]) throws {
        #expect(try differences("{}", answer) == expected)
    }

    @Test func `events and messages are compared one by one`() throws {
        let stream = #"{"status":200,"events":[{"event":"n","data":"{\"v\":1}"},{"data":"two"}],"ended":"returned"}"#
        #expect(try differences(#"{"events":[{"data":{"v":1}},{"data":"two"}],"ended":"returned"}"#, stream) == [])
        #expect(
            try differences(#"{"events":[{"event":"m","data":{"v":2}}]}"#, stream) == [
                #"events[0].event: "m" "n""#, "events[0].data.v: 2 1", #"events[1]: - {"data":"two"}"#,
            ])
        let socket = #"{"status":101,"messages":["{\"v\":1}",{"base64":"AA=="}],"closeCode":1000}"#
        #expect(try differences(#"{"messages":[{"v":1},{"base64":"AA=="}]}"#, socket) == [])
        #expect(try differences(#"{"messages":["x"],"closeCode":1001}"#, socket).count == 3)
    }

    @Test func `an exact comparison sees what is new, but for what every answer has anew`() throws {
        let answer = #"{"status":200,"headers":{"date":"now","etag":"1"},"body":"{\"a\":1,\"requestId\":\"r\"}"}"#
        #expect(
            try differences(#"{"status":200,"headers":{},"body":{"requestId":"q"}}"#, answer, isExact: true) == [
                #"headers.etag: - "1""#, "body.a: - 1",
            ])
    }

    @Test(arguments: [
        #"{"staus":200}"#, #"{"status":99}"#, #"{"events":{}}"#, #"{"events":[{"date":1}]}"#, #"{"headers":{"a":1}}"#,
        "[]",
    ])
    func `what cannot be expected is refused`(expect: String) {
        #expect(throws: Expectation.Invalid.self) { try differences(expect, Self.answer) }
    }
}
