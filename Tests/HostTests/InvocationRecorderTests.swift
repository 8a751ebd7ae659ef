import FunctionKit
import Logging
import NIOCore
import NIOPosix
import Testing

@testable import Host

/// Invocations that are kept, and what they say when they are run again.
struct InvocationRecorderTests {
    /// Calls a recorded function and gives the recordings, the oldest first, and their names.
    private func record(
        _ trigger: FunctionManifest.Trigger, _ handler: ModuleEntry.Handler, _ inputs: [String],
        requestID: String = "r1", _ change: (inout InvocationRecorder.Limits) -> Void = { _ in }
    ) async throws -> [(name: String, json: PositionedJSON)] {
        let folder = try ScratchFolder()
        defer { folder.remove() }
        var limits = InvocationRecorder.Limits()
        change(&limits)
        let recorder = InvocationRecorder(dataFolder: folder.path, limits: limits, logger: LogRecorder().logger)
        let function = LoadedFunction(name: "a-b", manifest: FunctionManifest(trigger: trigger), handler: handler)
        let runner = runner(recorder.decorate(function))
        for input in inputs {
            let call = try InvocationInput(
                ByteBuffer(string: input), for: function.manifest, requestID: requestID)
            _ = try await DirectInvocation(runner: runner, requestID: requestID).run(call)
        }
        await recorder.close()
        let recordings = InvocationRecorder.folder(in: folder.path)
        guard FileSystem.isFolder(recordings) else { return [] }
        let kept = try FileSystem.names(in: recordings).map { name in
            (name, try PositionedJSON.parse(try FileSystem.read("\(recordings)/\(name)")))
        }
        // What was recorded and is run again comes out the same.
        for (_, json) in kept where limits.fileBytes == InvocationRecorder.Limits().fileBytes {
            let call = try InvocationInput(
                ByteBuffer(string: json.text()), for: function.manifest, requestID: "replay-1")
            let answer = try await DirectInvocation(runner: self.runner(function), requestID: "replay-1").run(call)
            let found = try Expectation(of: json, isExact: true).differences(
                from: try PositionedJSON.parse(Array(answer.body.readableBytesView)))
            #expect(found == [], "\(json.text())")
        }
        return kept
    }

    private func runner(_ function: LoadedFunction) -> FunctionRunner {
        FunctionRunner(
            function,
            services: InvocationServices(
                logger: LogRecorder().logger, bindings: Bindings(), pool: HandlerPool { _ in },
                loops: LoopExecutors(MultiThreadedEventLoopGroup.singleton)))
    }

    @Test func `a request is kept with its answer and without its secrets`() async throws {
        let kept = try await record(
            .http(method: "POST", path: "/a/:name/:token"),
            .http { request, _ in
                var response = try Response.json(["token": "t", "name": request.parameter("name") ?? ""])
                response.headers[.setCookie] = "a=b"
                response.headers[.date] = "\(Timestamp.now)"
                return response
            },
            [
                #"""
                {"parameters":{"name":"Ada","token":"tttt"},"query":"x=1&api_key=k",
                 "headers":{"authorization":"Bearer x","accept":"*/*"},"body":{"password":"p","n":1.50}}
                """#
            ])
        let (name, json) = try #require(kept.first)
        let id = try #require(json["recorded"]?["id"]?.string)
        #expect(name.hasSuffix("-a-b-\(id).json") && id.count == 8)
        #expect(
            json.text().hasPrefix(
                #"{"method":"POST","path":"/a/Ada/%3Credacted%3E","query":"x=1&api_key=<redacted>","#
                    + #""headers":{"authorization":"<redacted>","accept":"*/*","content-type":"application/json"},"#
                    + #""body":{"password":"<redacted>","n":1.50},"expect":{"status":200,"#
                    + #""headers":{"content-type":"application/json","set-cookie":"<redacted>"},"#
                    + #""body":{"name":"Ada","token":"<redacted>"}},"recorded":{"id":"\#(id)","function":"a-b","at":""#
            ), "\(json.text())")
        #expect(json["recorded"]?["ranMs"]?.integer != nil)
    }

    @Test func `bodies of every kind come out as they went in`() async throws {
        let kept = try await record(
            .http(method: "POST", path: "/"), .http { request, _ in Response(body: request.body) },
            [
                #"{"body":"plain","headers":{"content-type":"text/plain"}}"#, #"{"bodyBase64":"AP8="}"#, "{}",
                #"{"body":"{ \"a\": 1 }","headers":{"content-type":"text/plain"}}"#, #"{"body":"\"text\""}"#,
                #"{"body":{"a":"é"}}"#,
            ])
        #expect(
            kept.map { ($0.json["body"] ?? $0.json["bodyBase64"])?.text() ?? "-" }.sorted() == [
                #""AP8=""#, #""\"text\"""#, #""plain""#, #""{ \"a\": 1 }""#, "-", #"{"a":"é"}"#,
            ])
    }

    @Test func `errors are kept as their clients see them`() async throws {
        struct Unknown: Error {}
        let kept = try await record(
            .http(method: "GET", path: "/:what"),
            .http { request, _ in
                if request.parameter("what") == "gone" { throw HTTPError(.notFound, message: "Not here.") }
                throw Unknown()
            }, [#"{"path":"/gone"}"#, #"{"path":"/broken"}"#])
        #expect(Set(kept.compactMap { $0.json["expect"]?["status"]?.integer }) == [404, 500])
        #expect(kept.allSatisfy { $0.json["expect"]?["body"]?["requestId"] == nil })
    }

    @Test func `jobs, events and ticks are kept with their outcome`() async throws {
        let jobs = try await record(
            .queue(name: "q", on: .process),
            .queue { job, _ in
                if job.payload.contains("bad") { throw Permanent("no way", class: .validation) }
                if job.payload.contains("again") { throw RetryAfter(.seconds(7), "later") }
                return job.payload
            }, [#"{"data":{"a":1}}"#, #"{"data":"bad"}"#, #"{"data":"again"}"#, #"{"data":"again","attempt":3}"#])
        #expect(
            Set(jobs.compactMap { $0.json["expect"]?.text() }) == [
                #"{"outcome":"completed","returnValue":{"a":1}}"#,
                #"{"outcome":"failed","reason":"no way","class":"validation_error"}"#,
                #"{"outcome":"retry","reason":"later","class":"unknown_error","retryAfterMs":7000}"#,
                #"{"outcome":"failed","reason":"later","class":"unknown_error"}"#,
            ])
        let events = try await record(
            .queue(name: "q", on: .failed), .event { _, _ in }, [#"{"data":"the reason","jobId":"7"}"#])
        #expect(events.first?.json["data"]?.string == "the reason")
        #expect(events.first?.json["expect"]?.text() == #"{"outcome":"completed"}"#)
        let ticks = try await record(
            .schedule(pattern: "@daily", timeZone: "UTC"), .schedule { _, _ in throw Permanent("no") }, ["{}"])
        #expect(ticks.first?.json["expect"]?["outcome"]?.string == "failed")
    }

    @Test func `streams are kept as far as they went`() async throws {
        let endless = try await record(
            .sse(path: "/"),
            .stream { _, events, _ in
                for number in 1... {
                    try await events.send(ServerSentEvent(#"{"n":\#(number),"token":1}"#, id: "\(number)"))
                }
            }, [#"{"limit":2}"#])
        let json = try #require(endless.first?.json)
        #expect(json["limit"]?.integer == 2)
        #expect(json["expect"]?["events"]?.text().contains(#"{"id":"1","data":{"n":1,"token":"<redacted>"}}"#) == true)
        let ended = try await record(
            .sse(path: "/"), .stream { _, events, _ in try await events.send(ServerSentEvent("x")) }, ["{}"])
        #expect(ended.first?.json["expect"]?["ended"]?.string == "returned")
        let none = try await record(.sse(path: "/"), .stream { _, _, _ in }, ["{}"])
        #expect(none.first?.json["expect"]?["status"]?.integer == 204)
        let refused = try await record(.sse(path: "/"), .stream { _, _, _ in throw HTTPError(.forbidden) }, ["{}"])
        #expect(refused.first?.json["expect"]?["status"]?.integer == 403)
    }

    @Test func `sockets are kept from both sides`() async throws {
        let echo = try await record(
            .webSocket(path: "/"),
            .webSocket { _, upgrade, _ in
                let socket = try await upgrade.accept()
                for try await message in socket { try await socket.send(message) }
            }, [#"{"messages":["a",{"base64":"AP8="},{"secret":1,"n":2}]}"#])
        let messages = #"["a",{"base64":"AP8="},{"secret":"<redacted>","n":2}]"#
        #expect(echo.first?.json["messages"]?.text() == messages)
        #expect(echo.first?.json["expect"]?["messages"]?.text() == messages)
        #expect(echo.first?.json["seconds"] == nil)
        let closed = try await record(
            .webSocket(path: "/"),
            .webSocket { _, upgrade, _ in
                await (try await upgrade.accept()).close(WebSocketCloseCode(rawValue: 4001), reason: "no")
            }, ["{}"])
        #expect(closed.first?.json["expect"]?["closeCode"]?.integer == 4001)
        let pushed = try await record(
            .webSocket(path: "/"),
            .webSocket { _, upgrade, _ in
                let socket = try await upgrade.accept()
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { for try await _ in socket {} }
                    try await Task.sleep(for: .milliseconds(20))
                    for number in 1...3 { try await socket.send(.text("\(number)")) }
                }
            }, [#"{"seconds":20,"limit":3}"#])
        #expect(pushed.first?.json["limit"]?.integer == 3)
        #expect(pushed.first?.json["seconds"]?.integer == 5)
    }

    @Test func `the oldest go, what is too large is left out, and replays are not kept`() async throws {
        let echo = ModuleEntry.Handler.http { request, _ in Response(body: request.body) }
        let route = FunctionManifest.Trigger.http(method: "POST", path: "/")
        let calls = (0..<12).map { #"{"body":"\#($0)"}"# }
        let kept = try await record(route, echo, calls) { $0.fileCount = 10 }
        #expect(kept.count == 10)
        #expect(kept.contains { $0.json["body"]?.string == "11" })
        let large = String(repeating: "x", count: 900)
        let few = try await record(route, echo, [#"{"body":"\#(large)"}"#, #"{"body":"small"}"#]) {
            $0.fileBytes = 1024
        }
        #expect(few.compactMap { $0.json["body"]?.string } == ["small"])
        let bounded = try await record(route, echo, calls) { $0.totalBytes = 1500 }
        #expect((1...4).contains(bounded.count))
        #expect(try await record(route, echo, calls, requestID: "replay-7").isEmpty)
    }
}
