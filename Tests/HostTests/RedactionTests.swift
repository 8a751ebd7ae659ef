import Testing

@testable import Host

/// What is taken out of recordings.
struct RedactionTests {
    private let redaction = Redaction(also: ["ssn", "Iban-No"])

    @Test(arguments: [
        ("password", true), ("dbPassword", true), ("API_KEY", true), ("api-key", true), ("accessToken", true),
        ("X-Amz-Signature", true), ("X-Amz-Credential", true), ("client.secret", true), ("SSN", true),
        ("ibanNo", true), ("name", false), ("key", false), ("author", false), ("passenger", false), ("", false),
    ])
    func `a name hides what it names`(name: String, isHidden: Bool) {
        #expect(redaction.hides(name) == isHidden)
    }

    @Test(arguments: [
        ("authorization", true), ("cookie", true), ("set-cookie", true), ("x-api-key", true),
        ("proxy-authorization", true), ("x-auth-token", true), ("accept", false), ("content-type", false),
    ])
    func `header fields are hidden`(name: String, isHidden: Bool) {
        #expect(redaction.hides(field: name) == isHidden)
    }

    @Test(arguments: [
        ("a=1&token=x%20y&b=2", "a=1&token=<redacted>&b=2"), ("token=x", "token=<redacted>"), ("token", "token"),
        ("%74oken=x", "%74oken=<redacted>"), ("a=token", "a=token"), ("", ""), ("secret=&a=1", "secret=<redacted>&a=1"),
    ])
    func `queries lose their secrets`(query: String, expected: String) {
        #expect(redaction.query(query) == expected)
    }

    @Test(arguments: [
        (
            "see http://h/k?X-Amz-Credential=a/b&X-Amz-Date=1&X-Amz-Signature=ff#x, or not",
            "see http://h/k?X-Amz-Credential=<redacted>&X-Amz-Date=1&X-Amz-Signature=<redacted>#x, or not"
        ),
        (#"<a href="/?a=1&amp;token=2">"#, #"<a href="/?a=1&amp;token=<redacted>">"#), ("token=x", "token=x"),
        ("ünïcode? ok=1", "ünïcode? ok=1"),
    ])
    func `texts lose those of their URLs`(text: String, expected: String) {
        #expect(redaction.text(text) == expected)
    }

    @Test func `JSON loses its secrets at any depth, and nothing else`() throws {
        let text = #"{"a":[{"token":{"x":1}},{"password":null}],"n":1.50,"url":"/?sig=1&secret=2","ssn":5}"#
        let json = redaction.json(try PositionedJSON.parse(Array(text.utf8)))
        #expect(
            json.text()
                == #"{"a":[{"token":"<redacted>"},{"password":null}],"n":1.50,"url":"/?sig=1&secret=<redacted>","ssn":"<redacted>"}"#
        )
    }
}
