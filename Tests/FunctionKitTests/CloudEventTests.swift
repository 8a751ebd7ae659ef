import FunctionKit
import Testing

private struct Mirror: CloudEventFunction {
    func handle(_ event: CloudEvent, _ request: Request, _ context: Context) async throws -> CloudEvent? {
        switch event.type {
        case "drop": return nil
        case "break": return CloudEvent(id: "", source: "a b", type: "t", extensions: ["id": "x", "A": 1])
        case "json": return try CloudEvent(id: "1", source: "s", type: "t", json: try event.decode([String: Int].self))
        case "bytes": return CloudEvent(id: "1", source: "s", type: "t", data: ByteBuffer(bytes: [0, 255]))
        default: return event
        }
    }
}

@Suite struct CloudEventTests {
    private func send(_ headers: HTTPFields, _ body: String) async throws -> Response {
        guard case .http(let call) = ModuleEntry(cloudEvents: Mirror.self).handler else { throw CancellationError() }
        let context = Context(
            logger: Logger(label: "test"), function: "test", requestID: "r", deadline: .now + .seconds(5),
            bindings: Bindings())
        return try await call(
            Request(method: .post, path: "/", headers: headers, body: ByteBuffer(string: body)), context)
    }

    private func structured(_ body: String) async throws -> String {
        String(buffer: try await send([.contentType: "application/cloudevents+json; charset=UTF-8"], body).body)
    }

    private func fields(_ pairs: [String: String]) throws -> HTTPFields {
        var fields = HTTPFields()
        for (name, value) in pairs { fields[try #require(HTTPField.Name(name))] = value }
        return fields
    }

    private let required = ["ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t"]

    @Test(arguments: [
        #"{"specversion":"1.0","id":"1","source":"/s","type":"t"}"#,
        #"{"specversion":"1.0","id":"ä\"","source":"urn:x:1","type":"t","subject":"s","time":"2026-01-31T12:00:00.123456+02:00","datacontenttype":"application/json","dataschema":"https://x/y","a1":"v","flag":true,"n":-5,"data":{"b":1.50,"a":[1e400,"\u00e4"]}}"#,
        #"{"specversion":"1.0","id":"1","source":"/s","type":"t","data":"text"}"#,
        #"{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"text/xml","data":"<a/>"}"#,
        #"{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"x/y","data":[1, 2]}"#,
        #"{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":"AP8="}"#,
        #"{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":"MQ=="}"#,
    ])
    func `a structured event comes back as it was`(text: String) async throws {
        #expect(try await structured(text) == text)
    }

    @Test func `a binary event's values are unescaped once and escaped again`() async throws {
        var headers = try fields(required)
        headers[.contentType] = "text/plain"
        headers[try #require(HTTPField.Name("ce-subject"))] = "Euro%20%E2%82%AC%2520"
        headers[try #require(HTTPField.Name("ce-quoted"))] = #"a "b \" c""#
        let response = try await send(headers, "body")
        #expect(response.headers[.contentType] == "text/plain" && String(buffer: response.body) == "body")
        #expect(response.headers[try #require(HTTPField.Name("ce-subject"))] == "Euro%20%E2%82%AC%2520")
        #expect(response.headers[try #require(HTTPField.Name("ce-quoted"))] == "a%20b%20%22%20c")
    }

    @Test func `nothing is 204, and JSON data is decoded and encoded`() async throws {
        #expect(try await send(try fields(required.merging(["ce-type": "drop"]) { $1 }), "").status == .noContent)
        let answer = try await structured(
            #"{"specversion":"1.0","id":"1","source":"/s","type":"json","data":{"a":1}}"#)
        #expect(answer.contains(#""datacontenttype":"application/json","data":{"a":1}}"#))
        let bytes = try await structured(#"{"specversion":"1.0","id":"1","source":"/s","type":"bytes"}"#)
        #expect(bytes.contains(#""data_base64":"AP8=""#))
    }

    @Test(
        arguments: [
            (
                #"{"specversion":"0.3","id":"","source":"a b","type":1,"time":"2026-02-30T00:00:00Z","dataschema":"/x","datacontenttype":"json","Bad":1,"n":1.5,"big":4294967296,"list":[],"c":"\u0001"}"#,
                [
                    "specversion", "id", "source", "type", "time", "dataschema", "datacontenttype", "Bad", "n", "big",
                    "list", "c",
                ]
            ),
            ("{}", ["specversion", "id", "source", "type"]),
            (
                #"{"specversion":"1.0","id":"1","id":"2","source":"s","type":"t","data":1,"data_base64":""}"#,
                ["id", "data"]
            ),
            (#"{"specversion":"1.0","id":"1","source":"s","type":"t","data_base64":"?"}"#, ["data_base64"]),
            (#"{"specversion":"1.0","id":null,"source":"s","type":"t"}"#, ["id"]), ("[]", [""]),
        ] as [(String, [String])])
    func `every problem of a structured event is told`(text: String, problems: [String]) async throws {
        let error = await #expect(throws: HTTPError.self) { try await structured(text) }
        #expect(error?.status == .badRequest && error?.code == "validation_failed")
        #expect(error?.details.map(\.field) == problems)
    }

    @Test(arguments: ["", "{", "{} x", #"{"a":01}"#, "{\"a\":\"\u{1}\"}", #"{"a":"\x"}"#, #"{"a":"\ud800"}"#, "nul"])
    func `what is no JSON is malformed`(text: String) async throws {
        let error = await #expect(throws: HTTPError.self) { try await structured(text) }
        #expect(error?.code == "malformed_json")
    }

    @Test func `every problem of a binary event is told`() async throws {
        let headers = try fields([
            "ce-id": "%zz", "ce-source": "\"open", "ce-type": "", "ce-datacontenttype": "x/y", "ce-a-b": "x",
            "content-type": "text",
        ])
        let error = await #expect(throws: HTTPError.self) { try await send(headers, "") }
        #expect(
            Set(error?.details.map(\.field) ?? []) == [
                "ce-id", "ce-source", "ce-type", "ce-datacontenttype", "ce-a-b", "ce-specversion",
            ])
    }

    @Test(arguments: [
        "application/cloudevents-batch+json", "application/cloudevents+avro", "application/cloudevents",
        "application/cloudevents+json; charset=latin1",
    ])
    func `batches and other formats are refused`(media: String) async throws {
        let error = await #expect(throws: HTTPError.self) { try await send([.contentType: media], "[]") }
        #expect(error?.status == .unsupportedMediaType)
    }

    @Test func `an answer that is no event is the handler's failure`() async throws {
        let error = await #expect(throws: Permanent.self) {
            try await send(try fields(required.merging(["ce-type": "break"]) { $1 }), "")
        }
        let text = error?.message ?? ""
        for part in ["id must not be empty", "source must be", "A is no name", "id cannot be an extension"] {
            #expect(text.contains(part), "\(text)")
        }
    }

    @Test(
        arguments: [
            ("1970-01-01T00:00:00Z", 0), ("2000-02-29T12:34:56.789123Z", 951_827_696_789),
            ("2000-02-29t14:34:56.7+02:00", 951_827_696_700), ("1969-12-31T23:59:59.999Z", -1),
            ("2016-12-31T23:59:60Z", 1_483_228_800_000), ("2026-02-29T00:00:00Z", nil), ("2026-01-01 00:00:00Z", nil),
            ("2026-01-01T00:00:00", nil), ("2026-01-01T00:00:00.Z", nil), ("2026-01-01T24:00:00Z", nil),
            ("2026-01-01T00:00:00+2:00", nil), ("", nil),
        ] as [(String, Int64?)])
    func `times are read as RFC 3339 writes them`(text: String, milliseconds: Int64?) {
        #expect(Timestamp(rfc3339: text)?.milliseconds == milliseconds)
    }
}
