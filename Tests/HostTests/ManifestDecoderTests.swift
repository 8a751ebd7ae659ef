import Testing

@testable import Host

@Suite struct ManifestDecoderTests {
    private func decode(_ text: String) -> ManifestDecoder.Result {
        ManifestDecoder().decode(Array(text.utf8), file: "function.json")
    }

    @Test(arguments: [
        (#"{"http": "GET /"}"#, FunctionManifest(trigger: .http(method: "GET", path: "/"))),
        (#"{"http": "GET /a/:b/"}"#, FunctionManifest(trigger: .http(method: "GET", path: "/a/:b/"))),
        (
            #"{"http": "M-SEARCH /ä/~x", "timeout": "500ms", "concurrency": 10000, "queueLimit": 0}"#,
            FunctionManifest(
                trigger: .http(method: "M-SEARCH", path: "/ä/~x"), timeout: .milliseconds(500), concurrency: 10_000,
                queueLimit: 0)
        ),
        (
            #"{"http": "PUT /x", "handler": "Pages.Put", "executor": "loop", "maxBody": "64KiB"}"#,
            FunctionManifest(
                trigger: .http(method: "PUT", path: "/x"), handler: "Pages.Put", executor: .loop, maxBodyBytes: 65_536)
        ),
        (
            #"{"http": "PUT /x", "maxBody": 12}"#,
            FunctionManifest(trigger: .http(method: "PUT", path: "/x"), maxBodyBytes: 12)
        ),
        (
            #"{"cloudevents": "PUT /a/:b", "maxBody": 12}"#,
            FunctionManifest(trigger: .cloudEvents(method: "PUT", path: "/a/:b"), maxBodyBytes: 12)
        ),
        (
            #"{"http": "PUT /x", "auth": "admin", "rateLimit": "writes"}"#,
            FunctionManifest(trigger: .http(method: "PUT", path: "/x"), access: .admin, rateLimit: ["writes"])
        ),
        (
            #"{"sse": "/a", "auth": "user", "rateLimit": ["reads", "streams"]}"#,
            FunctionManifest(trigger: .sse(path: "/a"), access: .user, rateLimit: ["reads", "streams"])
        ),
        (#"{"sse": "/a/:b"}"#, FunctionManifest(trigger: .sse(path: "/a/:b"))),
        (
            #"{"sse": "/a", "timeout": "24h", "concurrency": 5, "queueLimit": 2, "executor": "loop"}"#,
            FunctionManifest(
                trigger: .sse(path: "/a"), timeout: .seconds(86_400), concurrency: 5, queueLimit: 2, executor: .loop)
        ),
        (#"{"websocket": "/a/:b"}"#, FunctionManifest(trigger: .webSocket(path: "/a/:b"))),
        (
            #"{"websocket": "/a", "maxMessage": "64MiB", "compression": "context"}"#,
            FunctionManifest(trigger: .webSocket(path: "/a"), maxMessageBytes: 64 << 20, compression: .context)
        ),
        (
            #"{"queue": "q", "on": "process"}"#,
            FunctionManifest(trigger: .queue(name: "q", on: .process))
        ),
        (
            #"{"queue": "q", "on": "complete"}"#,
            FunctionManifest(trigger: .queue(name: "q", on: .completed))
        ),
        (
            #"{"queue": "q", "on": "process", "retry": {"attempts": 5, "backoff": "fixed", "delay": "1s", "jitter": 0.5}}"#,
            FunctionManifest(
                trigger: .queue(name: "q", on: .process),
                retry: .init(attempts: 5, isExponential: false, delay: .seconds(1), jitter: 0.5))
        ),
        (
            #"{"queue": "q", "on": "process", "retry": {}}"#,
            FunctionManifest(trigger: .queue(name: "q", on: .process), retry: .init())
        ),
        (
            #"{"schedule": "*/5 * * * *"}"#,
            FunctionManifest(trigger: .schedule(pattern: "*/5 * * * *", timeZone: "UTC"))
        ),
        (
            #"{"schedule": "30 0 3 L * ?", "timezone": "Europe/Berlin", "timeout": "10m", "concurrency": 2, "retry": {}}"#,
            FunctionManifest(
                trigger: .schedule(pattern: "30 0 3 L * ?", timeZone: "Europe/Berlin"), timeout: .seconds(600),
                concurrency: 2, retry: .init(attempts: 3))
        ),
    ])
    func decodes(text: String, manifest: FunctionManifest) {
        let result = decode(text)
        #expect(result.problems.map(\.description) == [])
        #expect(result.manifest == manifest)
    }

    @Test func hasTheDocumentedDefaults() throws {
        let http = try #require(decode(#"{"http": "GET /"}"#).manifest)
        #expect(http.timeout == .seconds(135) && http.concurrency == 256 && http.queueLimit == 1024)
        #expect(http.executor == .pool && http.maxBodyBytes == 1 << 20)
        for text in [#"{"sse": "/"}"#, #"{"websocket": "/"}"#] {
            let lasting = try #require(decode(text).manifest)
            #expect(lasting.timeout == .seconds(3600) && lasting.concurrency == 10_000 && lasting.queueLimit == 0)
            #expect(lasting.executor == .pool && lasting.maxBodyBytes == 0)
            #expect(lasting.maxMessageBytes == 1 << 20 && lasting.compression == .message)
        }
        let queue = try #require(decode(#"{"queue": "q", "on": "process"}"#).manifest)
        #expect(queue.timeout == .seconds(130) && queue.concurrency == 4)
        #expect(queue.retry == .init(attempts: 3, isExponential: true, delay: .seconds(2), jitter: 0))
        let schedule = try #require(decode(#"{"schedule": "@daily"}"#).manifest)
        #expect(schedule.timeout == .seconds(130) && schedule.concurrency == 1 && schedule.retry.attempts == 1)
    }

    @Test(arguments: [
        ("[]", ["1:1: must be an object, not an array"]),
        (
            "{}",
            [
                #"1:1: a trigger is missing: "http": "METHOD /path", "cloudevents": "POST /path", "sse": "/path", "websocket": "/path", "#
                    + #""queue": NAME with "on", or "schedule": TIMES"#
            ]
        ),
        ("{,}", [#"1:2: not JSON: expected a key in double quotes, found ",""#]),
        (#"{"http": 1}"#, ["1:10: http must be a string, not 1"]),
        (#"{"on": "process"}"#, [#"1:8: on has a meaning only beside "queue""#]),
        (#"{"http": "GET /", "on": "process"}"#, [#"1:25: on has a meaning only beside "queue""#]),
        (
            #"{"queue": "q"}"#,
            [#"1:11: queue needs "on" beside it: "process", "progress", "completed" or "failed""#]
        ),
        (
            #"{"http": "GET /", "queue": "q", "on": "process"}"#,
            [#"1:28: queue cannot stand beside "http": a function has one trigger"#]
        ),
        (
            #"{"queue": "q", "on": "processed"}"#,
            [#"1:22: on must be one of "process", "progress", "completed", "failed", not "processed""#]
        ),
        (
            #"{"queue": "a:b", "on": "process"}"#,
            ["1:11: queue must be a name of 1…128 bytes without colons, spaces and control characters"]
        ),
        (
            #"{"queue": "", "on": "process"}"#,
            ["1:11: queue must be a name of 1…128 bytes without colons, spaces and control characters"]
        ),
        (
            #"{"http": "GET /", "sse": "/x", "websocket": "/x"}"#,
            [
                #"1:26: sse cannot stand beside "http": a function has one trigger"#,
                #"1:45: websocket cannot stand beside "http": a function has one trigger"#,
            ]
        ),
        (
            #"{"sse": "GET /x"}"#,
            [#"1:9: sse must be a path alone, such as "/ticks/:name", since its requests are GET"#]
        ),
        (#"{"sse": 1}"#, ["1:9: sse must be a string, not 1"]),
        (#"{"websocket": "x"}"#, [#"1:15: websocket has the path "x", which must begin with "/""#]),
        (#"{"websocket": "/:a/:a"}"#, [#"1:15: websocket has the parameter ":a" twice"#]),
        (
            #"{"sse": "/x", "maxBody": 1, "maxMessage": 1, "compression": "off", "retry": {}, "on": "process"}"#,
            [
                #"1:26: maxBody has a meaning only with "http" or "cloudevents""#,
                #"1:43: maxMessage has a meaning only with "websocket""#,
                #"1:61: compression has a meaning only with "websocket""#,
                #"1:77: retry has a meaning only with "on": "process" or "schedule""#,
                #"1:87: on has a meaning only beside "queue""#,
            ]
        ),
        (
            #"{"http": "GET /", "maxMessage": 1}"#,
            [#"1:33: maxMessage has a meaning only with "websocket""#]
        ),
        (
            #"{"websocket": "/x", "maxMessage": "65MiB", "compression": "on", "maxBody": 0}"#,
            [
                #"1:35: maxMessage must be a size such as "64KiB" or "1MiB", or a number of bytes, 1…67108864 bytes, "#
                    + #"not "65MiB""#,
                #"1:59: compression must be one of "off", "message", "context", not "on""#,
                #"1:76: maxBody has a meaning only with "http" or "cloudevents""#,
            ]
        ),
        (
            #"{"queue": "q", "on": "failed", "queueLimit": 1}"#,
            [#"1:46: queueLimit has a meaning only with "http", "cloudevents", "sse" or "websocket""#]
        ),
        (
            #"{"schedule": "60 * 0 * FOO"}"#,
            [
                #"1:14: schedule is wrong: day of month "0" is out of 1…31"#,
                #"1:14: schedule is wrong: day of week "FOO" is neither a value, a range nor *"#,
                #"1:14: schedule is wrong: minutes "60" is out of 0…59"#,
            ]
        ),
        (
            "{\n  \"schedule\": \"0 0 30 2 *\",\n  \"timezone\": \"Mars/Olympus\",\n  \"maxBody\": 1\n}",
            [
                "2:15: schedule is wrong: no month of the pattern has a day of the pattern, so it never comes",
                #"3:15: timezone must be a time zone of the IANA database, such as "UTC" or "Europe/Berlin", "#
                    + #"not "Mars/Olympus""#,
                #"4:14: maxBody has a meaning only with "http" or "cloudevents""#,
            ]
        ),
        (#"{"schedule": "@daily", "maxBody": 1}"#, [#"1:35: maxBody has a meaning only with "http" or "cloudevents""#]),
        (#"{"schedule": 5}"#, ["1:14: schedule must be a string, not 5"]),
        (#"{"timezone": "UTC"}"#, [#"1:14: timezone has a meaning only beside "schedule""#]),
        (#"{"http": "GET /", "timezone": "UTC"}"#, [#"1:31: timezone has a meaning only beside "schedule""#]),
        (#"{"schedule": "@daily", "on": "process"}"#, [#"1:30: on has a meaning only beside "queue""#]),
        (
            #"{"http": "GET /", "schedule": "@daily", "queue": "q", "on": "failed"}"#,
            [
                #"1:31: schedule cannot stand beside "http": a function has one trigger"#,
                #"1:50: queue cannot stand beside "http": a function has one trigger"#,
            ]
        ),
        (
            #"{"cloudevents": "GET /x"}"#,
            [#"1:17: cloudevents needs a method whose requests have a body: "POST /x""#]
        ),
        (
            #"{"http": "GET /", "auth": "root", "rateLimit": ["a", "a"]}"#,
            [
                #"1:27: auth must be one of "anonymous", "user", "admin", not "root""#,
                #"1:48: rateLimit must be the name of a budget, such as "writes", or an array of different ones, not an array"#,
            ]
        ),
        (
            #"{"queue": "q", "on": "process", "auth": "user", "rateLimit": "a"}"#,
            [
                #"1:41: auth has a meaning only with "http", "cloudevents", "sse" or "websocket""#,
                #"1:62: rateLimit has a meaning only with "http", "cloudevents", "sse" or "websocket""#,
            ]
        ),
        (#"{"http": "GET /", "description": 1}"#, ["1:34: description must be a string, not 1"]),
        (#"{"http": "GET /", "hander": "X"}"#, [#"1:19: hander is not a known key; did you mean "handler"?"#]),
        (
            #"{"http": "GET /", "colour": 1}"#,
            [
                "1:19: colour is not a known key; known are auth, cloudevents, compression, concurrency, description, "
                    + "executor, handler, http, maxBody, maxMessage, messages, on, queue, queueLimit, rateLimit, request, "
                    + "responses, retry, schedule, sse, timeout, timezone, websocket"
            ]
        ),
        (
            #"{"http": "GET /", "handler": "a b"}"#,
            [#"1:30: handler must be the name of a Swift type, such as "Hello" or "Pages.Hello", not "a b""#]
        ),
        (
            #"{"http": "GET /", "timeout": 30}"#,
            [#"1:30: timeout must be a duration such as "500ms", "30s", "10m" or "1h", 1ms…24h, not 30"#]
        ),
        (
            #"{"http": "GET /", "timeout": "25h"}"#,
            [#"1:30: timeout must be a duration such as "500ms", "30s", "10m" or "1h", 1ms…24h, not "25h""#]
        ),
        (
            #"{"http": "GET /", "concurrency": 0}"#,
            ["1:34: concurrency must be a whole number, 1…10000, not 0"]
        ),
        (
            #"{"http": "GET /", "concurrency": 10001}"#,
            ["1:34: concurrency must be a whole number, 1…10000, not 10001"]
        ),
        (
            #"{"http": "GET /", "concurrency": "8"}"#,
            [#"1:34: concurrency must be a whole number, 1…10000, not "8""#]
        ),
        (
            #"{"http": "GET /", "concurrency": 1.5}"#,
            ["1:34: concurrency must be a whole number, 1…10000, not 1.5"]
        ),
        (
            #"{"http": "GET /", "queueLimit": -1}"#,
            ["1:33: queueLimit must be a whole number, 0…1000000, not -1"]
        ),
        (#"{"http": "GET /", "executor": null}"#, [#"1:31: executor must be one of "pool", "loop", not null"#]),
        (
            #"{"http": "GET /", "maxBody": "1MB"}"#,
            [
                #"1:30: maxBody must be a size such as "64KiB" or "1MiB", or a number of bytes, 0…1073741824 bytes, "#
                    + #"not "1MB""#
            ]
        ),
        (#"{"http": "GET /", "retry": {}}"#, [#"1:28: retry has a meaning only with "on": "process" or "schedule""#]),
        (
            #"{"queue": "q", "on": "failed", "retry": {}}"#,
            [#"1:41: retry has a meaning only with "on": "process" or "schedule""#]
        ),
        (
            #"{"queue": "q", "on": "failed", "maxBody": 1}"#,
            [#"1:43: maxBody has a meaning only with "http" or "cloudevents""#]
        ),
        (
            #"{"queue": "q", "on": "process", "retry": 3}"#,
            ["1:42: retry must be an object, not a number"]
        ),
        (
            #"{"queue": "q", "on": "process", "retry": {"attempts": 0, "backof": "linear", "delay": "x", "jitter": 2}}"#,
            [
                "1:55: retry.attempts must be a whole number, 1…1000, not 0",
                #"1:58: retry.backof is not a known key; did you mean "backoff"?"#,
                #"1:87: retry.delay must be a duration such as "500ms", "30s", "10m" or "1h", 0s…24h, not "x""#,
                "1:102: retry.jitter must be a number, 0.0…1.0, not 2",
            ]
        ),
        (
            "{\n  \"http\": \"get /x\",\n  \"timout\": \"5s\",\n  \"concurrency\": 0\n}",
            [
                #"2:11: http has the method "get"; methods are upper-case letters, such as "GET""#,
                #"3:3: timout is not a known key; did you mean "timeout"?"#,
                "4:18: concurrency must be a whole number, 1…10000, not 0",
            ]
        ),
    ])
    func reportsEveryProblemWithItsPlace(text: String, problems: [String]) {
        let result = decode(text)
        #expect(result.manifest == nil)
        #expect(result.problems.map(\.description) == problems.map { "function.json:" + $0 })
    }

    @Test(arguments: [
        ("/x", "must be a method and a path with one space between"),
        ("GET", "must be a method and a path with one space between"),
        ("GET  /x", "must be a method and a path with one space between"),
        ("GET /a b", "must be a method and a path with one space between"),
        (" /x", "must be a method and a path with one space between"),
        ("GE7 /x", "has the method \"GE7\""),
        ("CONNECT /x", "has the method CONNECT"),
        ("GET x", "must begin with \"/\""),
        ("GET //", "has an empty segment"),
        ("GET /a//b", "has an empty segment"),
        ("GET /:a/:a", "has the parameter \":a\" twice"),
        ("GET /:", "has the parameter \":\""),
        ("GET /:1", "has the parameter \":1\""),
        ("GET /:a-b", "has the parameter \":a-b\""),
        ("GET /a:b", "has \":\" in its path"),
        ("GET /a?b", "has \"?\" in its path"),
        ("GET /*", "has \"*\" in its path"),
        ("GET /%20", "segments are matched decoded"),
        ("GET /../x", "has the segment \"..\""),
        ("GET /.", "has the segment \".\""),
    ])
    func refusesPatternsThatCannotMatch(text: String, reason: String) {
        let fault = #expect(throws: RoutePattern.Fault.self) { try RoutePattern(text) }
        #expect(fault?.reason.contains(reason) == true, "\(fault?.reason ?? "")")
    }

    @Test func patternsThatMatchTheSameAreTheSame() throws {
        #expect(try RoutePattern("GET /a/:b").key == RoutePattern("GET /a/:c").key)
        #expect(try RoutePattern("GET /a/:b").key != RoutePattern("GET /a/b").key)
        #expect(try RoutePattern("GET /a/:b").key != RoutePattern("PUT /a/:b").key)
        #expect(try RoutePattern("GET /a/:b").key != RoutePattern("GET /a/:b/").key)
    }
}
