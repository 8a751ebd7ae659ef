import FunctionKit
import NIOCore
import Testing

@testable import Host

/// Calls by hand: what they are made of, and who may make them.
struct AdminTests {
    private static let token = "0123456789abcdef"

    private func read(_ text: String, _ trigger: FunctionManifest.Trigger) throws(HTTPError) -> InvocationInput {
        try InvocationInput(ByteBuffer(string: text), for: FunctionManifest(trigger: trigger), requestID: "r1")
    }

    private func problems(_ text: String, _ trigger: FunctionManifest.Trigger) -> [String] {
        do {
            _ = try read(text, trigger)
            return []
        } catch {
            #expect(error.status == .badRequest)
            return error.details.map { "\($0.field): \($0.problem)" }
        }
    }

    @Test func `a request's path is its route with the parameters put in`() throws {
        let input = try read(
            #"{"parameters":{"name":"a b/c"},"query":"x=1","headers":{"X-A":"1"},"body":{"n":1.50}}"#,
            .http(method: "POST", path: "/hello/:name"))
        guard case .request(let request) = input else { throw HTTPError(.badRequest) }
        #expect(request.path == "/hello/a%20b%2Fc")
        #expect(request.parameter("name") == "a b/c")
        #expect(request.query == "x=1")
        #expect(String(buffer: request.body) == #"{"n":1.50}"#)
        #expect(request.headers[.contentType] == "application/json")
    }

    @Test func `a path that is given brings its parameters`() throws {
        let input = try read(#"{"path":"/hello/Ada%20L"}"#, .http(method: "GET", path: "/hello/:name"))
        guard case .request(let request) = input else { throw HTTPError(.badRequest) }
        #expect(request.parameter("name") == "Ada L")
    }

    @Test func `every problem is told`() {
        let route = FunctionManifest.Trigger.http(method: "GET", path: "/hello/:name")
        let found = problems(#"{"method":"PUT","headers":{"a b":"c"},"bdy":1}"#, route)
        #expect(found.count == 4, "\(found)")
        for field in ["method", "headers.a b", "bdy", "parameters.name"] {
            #expect(found.contains { $0.hasPrefix(field + ": ") }, "\(field) in \(found)")
        }
        #expect(problems(#"{"path":"/other"}"#, route).count == 1)
        #expect(problems(#"{"parameters":{"name":"x","nome":"y"}}"#, route).count == 1)
        #expect(problems(#"{"attempt":0,"id":7}"#, .queue(name: "q", on: .process)).count == 2)
        #expect(problems(#"{"kind":"failed"}"#, .queue(name: "q", on: .completed)).count == 1)
        #expect(problems(#"{"at":"2026-02-30T00:00:00Z"}"#, .schedule(pattern: "@daily", timeZone: "UTC")).count == 1)
    }

    @Test func `jobs, events and ticks have defaults`() throws {
        guard case .job(let job) = try read("", .queue(name: "q", on: .process)) else { throw HTTPError(.badRequest) }
        #expect((job.id, job.payload, job.attempt, job.maxAttempts) == ("r1", "{}", 1, 3))
        guard case .event(let event) = try read(#"{"data":"boom"}"#, .queue(name: "q", on: .failed)) else {
            throw HTTPError(.badRequest)
        }
        #expect(event.data == "boom")
        let schedule = FunctionManifest.Trigger.schedule(pattern: "@daily", timeZone: "UTC")
        guard case .tick(let tick) = try read(#"{"at":"2026-01-31T12:00:01Z"}"#, schedule) else {
            throw HTTPError(.badRequest)
        }
        #expect(tick.at.rfc3339 == "2026-01-31T12:00:01.000Z")
    }

    @Test(arguments: [
        ("Bearer 0123456789abcdef", true), ("bearer 0123456789abcdef", true), ("Bearer 0123456789abcdeg", false),
        ("Bearer 0123456789abcde", false), ("Bearer 0123456789abcdef0", false), ("Bearer ", false),
        ("Basic 0123456789abcdef", false), ("", false),
    ])
    func `the token must be whole`(field: String, isRight: Bool) {
        #expect(AdminToken(Secret(Self.token)).authorizes(field) == isRight)
        #expect(!AdminToken(Secret(Self.token)).authorizes(nil))
    }

    @Test(arguments: [
        ("127.0.0.1:0", true), ("127.8.9.1:1", true), ("[::1]:1", true), ("unix:/a", true), ("0.0.0.0:1", false),
        ("127.evil.example:1", false), ("[::]:1", false), ("10.0.0.1:1", false),
    ])
    func `only loopback is local`(text: String, isLocal: Bool) throws {
        #expect(try #require(ListenAddress(text)).isLocal == isLocal)
    }

    @Test func `JSON comes out as it went in`() throws {
        let text = #"{"a":[1.50,-0,true,null,{}],"b\n":"\u0001é\"","c":[]}"#
        #expect(try PositionedJSON.parse(Array(text.utf8)).text() == text)
        let pretty = try PositionedJSON.parse(Array(#"{"a":[1]}"#.utf8)).text(isPretty: true)
        #expect(pretty == "{\n  \"a\": [\n    1\n  ]\n}")
    }
}
