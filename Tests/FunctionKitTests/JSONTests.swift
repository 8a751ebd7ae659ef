import FunctionKit
import NIOCore
import Testing

@Suite struct JSONWriterTests {
    @Test func writesNestedValuesWithCommasInPlace() {
        var writer = JSONWriter()
        writer.object { json in
            json.key("a")
            json.value(1)
            json.key("b")
            json.array { list in
                list.value("x")
                list.value("y")
                list.value("\n")
                list.value(nil as String?)
                list.object { _ in }
                list.value(true)
            }
            json.key("c")
            json.value(nil as Int?)
            json.key("d")
            json.raw("{\"e\":2}")
        }
        #expect(String(buffer: writer.buffer) == #"{"a":1,"b":["x","y","\n",null,{},true],"c":null,"d":{"e":2}}"#)
    }

    @Test(arguments: [
        ("plain", "\"plain\""), ("", "\"\""), ("a\"b\\c", #""a\"b\\c""#),
        ("\n\r\t\u{0}\u{1F}", #""\n\r\t\u0000\u001f""#),
        ("Grüße 🚢", "\"Grüße 🚢\""),
    ])
    func escapesStringsSoThatTheyReadBackTheSame(text: String, expected: String) throws {
        var writer = JSONWriter()
        writer.value(text)
        #expect(String(buffer: writer.buffer) == expected)
        #expect(try JSON.decode(String.self, from: writer.buffer) == text)
    }

    @Test(arguments: [
        (0.0, "0"), (66.7, "66.7"), (100.0, "100"), (-3.5, "-3.5"), (Double.nan, "null"), (.infinity, "null"),
    ])
    func writesNumbersInTheirShortestForm(number: Double, expected: String) {
        var writer = JSONWriter()
        writer.value(number)
        #expect(String(buffer: writer.buffer) == expected)
    }
}

@Suite struct RESPValueTests {
    @Test(
        arguments: [
            ("0", 0), ("007", 7), ("999999999999999999", 999_999_999_999_999_999), ("-5", -5),
            ("9223372036854775807", Int64.max), ("9223372036854775808", nil), ("", nil), ("1 ", nil), ("1a", nil),
        ] as [(String, Int64?)])
    func readsIntegersFromBytes(text: String, expected: Int64?) {
        #expect(RESPValue.bytes(ByteBuffer(string: text)).integer == expected)
    }
}

@Suite struct JSONWriterNameTests {
    @Test func escapesNamesThatAreNotLiterals() {
        var writer = JSONWriter()
        writer.object { json in
            json.key("a")
            json.value(1)
            json.key(escaping: "b\"\n")
            json.value(2)
        }
        #expect(String(buffer: writer.buffer) == #"{"a":1,"b\"\n":2}"#)
    }
}

@Suite struct JSONErrorTests {
    struct Sample: Codable {
        struct Inner: Codable { let count: Int }
        let name: String
        let items: [Inner]
    }

    @Test(arguments: [
        ("{", "malformed_json", [], []),
        ("", "malformed_json", [], []),
        (#"{"items":[]}"#, "validation_failed", ["name"], ["is required"]),
        (#"{"name":1,"items":[]}"#, "validation_failed", ["name"], ["must be a string"]),
        (#"{"name":"a","items":[{"count":"x"}]}"#, "validation_failed", ["items[0].count"], ["must be an integer"]),
        (#"{"name":null,"items":[]}"#, "validation_failed", ["name"], ["must not be null"]),
    ])
    func namesTheFieldAndTheProblem(text: String, code: String, fields: [String], problems: [String]) {
        let error = #expect(throws: HTTPError.self) { try JSON.decode(Sample.self, from: text) }
        #expect(error?.status == .badRequest)
        #expect(error?.code == code)
        #expect(error?.details.map(\.field) == fields)
        #expect(error?.details.map(\.problem) == problems)
    }

    @Test func encodesKeysInOrderOfTheirNames() throws {
        #expect(try JSON.text(["b": 1, "a": 2]) == #"{"a":2,"b":1}"#)
        #expect(try JSON.text(Nothing()) == "null")
    }
}
