import Testing

@testable import Host

@Suite struct SchemaTests {
    private func decode(
        _ manifest: String, own: [String: String] = [:], shared: [String: String] = [:]
    ) -> ManifestDecoder.Result {
        let files = SchemaFiles(
            function: "orders", folder: "functions/orders", own: own.mapValues { Array($0.utf8) },
            shared: shared.mapValues { Array($0.utf8) })
        return ManifestDecoder().decode(Array(manifest.utf8), file: "function.json", schemas: files)
    }

    @Test func `a manifest tells requests and answers, and files become components`() throws {
        let result = decode(
            """
            {"http": "POST /orders/:shop", "description": "Takes an order.",
             "request": {"body": "order.schema.json", "path": {"shop": {"maxLength": 2}},
               "query": {"express": {"type": "boolean", "required": true}}},
             "responses": {"202": "order.schema.json", "400": ["malformed_json", "validation_failed"], "404": "unknown"}}
            """,
            own: [
                "order.schema.json": """
                {"$schema": "https://json-schema.org/draft/2020-12/schema", "x": [1],
                 "properties": {"item": {"$ref": "#/$defs/a"}, "id": {"$ref": "../schemas/ID.schema.json"}}, "$defs": {"a": {}}}
                """
            ], shared: ["ID.schema.json": #"{"type": "string"}"#])
        #expect(result.problems == [])
        let interface = try #require(result.manifest?.interface)
        #expect(interface.requestSummary == "body orders.order; path shop; query express")
        #expect(interface.answersSummary == "202 orders.order; 400 malformed_json, validation_failed; 404 unknown")
        #expect(interface.query.first?.isRequired == true)
        #expect(interface.components["ID"]?.text() == #"{"type":"string"}"#)
        let text = try #require(interface.components["orders.order"]?.text())
        #expect(text.contains(##"{"$ref":"#/components/schemas/orders.order/$defs/a"}"##))
        #expect(text.contains(##"{"$ref":"#/components/schemas/ID"}"##))
        #expect(!text.contains("$schema"))
    }

    @Test func `a folder that was copied without the shared schemas is served`() throws {
        let manifest = """
            {"http": "POST /", "request": "../schemas/A.schema.json", "responses": {"200": "o.schema.json"}}
            """
        let own = ["o.schema.json": #"{"items": {"$ref": "../schemas/B.schema.json"}}"#]
        let copied = decode(manifest, own: own)
        #expect(copied.problems == [])
        let interface = try #require(copied.manifest?.interface)
        #expect(interface.components["A"]?.text() == "{}" && interface.components["B"]?.text() == "{}")
        #expect(decode(manifest, own: own, shared: ["A.schema.json": "{}"]).problems.count == 1)
    }

    @Test(arguments: [
        (
            #"{"http": "GET /", "responses": {"200": "ordr.schema.json"}}"#,
            "1:40: responses.200 names functions/orders/ordr.schema.json, which is not there; did you mean \"order.schema.json\"?"
        ),
        (#"{"http": "GET /", "responses": {"200": "a.json"}}"#, "1:40: responses.200 must name a file"),
        (#"{"http": "GET /", "responses": {"20": {}}}"#, "1:33: responses.20 must be a status from 200 to 599"),
        (#"{"http": "GET /", "responses": {"404": "Not found"}}"#, "1:40: responses.404 must be a code"),
        (#"{"http": "GET /:id", "request": {"path": {"ids": {}}}}"#, "did you mean \"id\"?"),
        (#"{"http": "GET /", "request": {"querry": {}}}"#, "did you mean \"query\"?"),
        (#"{"http": "GET /", "request": {"query": {"a": {"type": "integr"}}}}"#, "did you mean \"integer\"?"),
        (##"{"http": "GET /", "request": {"query": {"a": {"$ref": "#/x"}}}}"##, "leads into the manifest"),
        (#"{"sse": "/", "request": "order.schema.json"}"#, "no body is read here"),
        (#"{"http": "GET /", "messages": {"server": {}}}"#, "has a meaning only with \"sse\" or \"websocket\""),
        (#"{"schedule": "* * * * *", "responses": {"200": {}}}"#, "has a meaning only with"),
        (
            #"{"http": "POST /", "request": "order.schema.json"}"#,
            "functions/orders/order.schema.json:2:13: required must be an array of different names"
        ),
        (#"{"http": "POST /", "request": "bad.schema.json"}"#, "functions/orders/bad.schema.json:1:2: not JSON"),
    ])
    func `what is wrong is told with its place`(_ manifest: String, _ expected: String) {
        let result = decode(
            manifest, own: ["order.schema.json": "{\n\"required\": true}", "bad.schema.json": "{,"])
        #expect(result.manifest == nil)
        #expect(result.problems.contains { $0.description.contains(expected) }, "\(result.problems)")
    }
}
