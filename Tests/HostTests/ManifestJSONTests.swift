import Testing

@testable import Host

@Suite struct ManifestJSONTests {
    @Test func keepsThePlaceOfEveryValueAndKey() throws {
        let text = """
            {
              "a": [1, {"ü": null}],
              "é": "x"
            }
            """
        let json = try PositionedJSON.parse(Array(text.utf8))
        #expect(json.position == .init(line: 1, column: 1))
        #expect(json["a"]?.position == .init(line: 2, column: 8))
        #expect(json["a"]?.elements?[1].position == .init(line: 2, column: 12))
        #expect(json["a"]?.elements?[1]["ü"]?.position == .init(line: 2, column: 18))
        #expect(json.members?[1].keyPosition == .init(line: 3, column: 3))
        #expect(json["é"]?.position == .init(line: 3, column: 8))
    }

    @Test(arguments: [
        (#""""#, PositionedJSON.Value.string("")),
        (#""\"\\\/\b\f\n\r\t""#, .string("\"\\/\u{8}\u{C}\n\r\t")),
        (#""\u00e9\ud83d\uDEA2""#, .string("é🚢")),
        (#""Grüße 🚢""#, .string("Grüße 🚢")),
        (" true ", .bool(true)), ("false", .bool(false)), ("null", .null),
        ("0", .number("0")), ("-0", .number("-0")), ("-12.5e+3", .number("-12.5e+3")), ("1E9", .number("1E9")),
        ("[]", .array([])), ("{ }", .object([])),
    ])
    func readsEveryKindOfValue(text: String, value: PositionedJSON.Value) throws {
        #expect(try PositionedJSON.parse(Array(text.utf8)).value == value)
    }

    @Test(arguments: [
        ("", "1:1: expected a value, found the end of the file"),
        ("{", "1:2: expected a key in double quotes, found the end of the file"),
        ("{\"a\" 1}", "1:6: expected \":\" after the key, found \"1\""),
        ("{\"a\": 1,}", "1:9: expected a key in double quotes, found \"}\""),
        ("{\"a\": 1 \"b\": 2}", "1:9: expected \",\" or \"}\", found \"\"\""),
        ("[1 2]", "1:4: expected \",\" or \"]\", found \"2\""),
        ("[1,]", "1:4: expected a value, found \"]\""),
        ("{'a': 1}", "1:2: expected a key in double quotes, found \"'\""),
        ("// x\n1", "1:1: expected a value, found \"/\" (JSON has no comments)"),
        ("1 2", "1:3: unexpected \"2\" after the value"),
        ("01", "1:1: \"01\" is not a number as JSON writes it"),
        ("-", "1:1: \"-\" is not a number as JSON writes it"),
        ("1.", "1:1: \"1.\" is not a number as JSON writes it"),
        ("1e", "1:1: \"1e\" is not a number as JSON writes it"),
        (".5", "1:1: expected a value, found \".\""),
        ("tru", "1:1: expected a value, found \"t\""),
        ("NaN", "1:1: expected a value, found \"N\""),
        ("[\n \"abc\n\"]", "2:6: a control character in a string; write it as an escape such as \\n"),
        ("\"abc", "1:1: a string without its closing quote"),
        (#""\x""#, "1:2: an unknown escape; JSON has \\\" \\\\ \\/ \\b \\f \\n \\r \\t and \\uXXXX"),
        (#""\u12G4""#, "1:2: \\u without its four hexadecimal digits"),
        (#""\ud800""#, "1:2: half of a surrogate pair"),
        (#""\udc00\ud800""#, "1:2: half of a surrogate pair"),
        (#""\ud800\u0041""#, "1:2: half of a surrogate pair"),
        ("{\"a\": 1,\n \"\\u0061\": 2}", "2:2: the key \"a\" occurs twice, first at 1:2"),
        ("\u{FEFF}{}", "1:1: a byte order mark is not allowed"),
    ])
    func refusesWhatIsNotJSON(text: String, message: String) {
        let error = #expect(throws: PositionedJSON.SyntaxError.self) { try PositionedJSON.parse(Array(text.utf8)) }
        #expect(error?.description == message)
    }

    @Test func refusesInvalidUTF8AndDeepNesting() {
        let broken = #expect(throws: PositionedJSON.SyntaxError.self) {
            try PositionedJSON.parse([0x22, 0xC3, 0x28, 0x22])
        }
        #expect(broken?.reason == "a string that is not UTF-8")
        let deep = #expect(throws: PositionedJSON.SyntaxError.self) {
            try PositionedJSON.parse(Array(String(repeating: "[", count: 100_000).utf8))
        }
        #expect(deep?.description == "1:65: nested deeper than 64 levels")
    }

    @Test func neverCrashesOnATextCutAnywhere() throws {
        let text = Array(#"{"a": [1, -2.5e3, "x\u00e9\ud83d\ude00", {"b": null}], "c": true}"#.utf8)
        for end in 0..<text.count {
            #expect(throws: PositionedJSON.SyntaxError.self) { try PositionedJSON.parse(Array(text[..<end])) }
        }
        #expect(try PositionedJSON.parse(text)["c"]?.bool == true)
    }

    @Test(arguments: [
        ("500ms", Duration.milliseconds(500)), ("30s", .seconds(30)), ("10m", .seconds(600)), ("1h", .seconds(3600)),
        ("0s", .zero),
    ])
    func readsDurations(text: String, duration: Duration) {
        #expect(UnitText.duration(text) == duration)
    }

    @Test(arguments: ["", "s", "30", "30 s", "-1s", "1.5s", "1d", "30S", "9223372036854775807h", "+3s", "٣s"])
    func refusesOtherDurations(text: String) {
        #expect(UnitText.duration(text) == nil)
    }

    @Test(arguments: [("1B", 1), ("64KiB", 65_536), ("1MiB", 1_048_576), ("2GiB", 2_147_483_648)])
    func readsSizes(text: String, bytes: Int) {
        #expect(UnitText.byteCount(text) == bytes)
    }

    @Test(arguments: ["", "1MB", "1mib", "KiB", "9223372036854775807KiB"])
    func refusesOtherSizes(text: String) {
        #expect(UnitText.byteCount(text) == nil)
    }

    @Test(arguments: [
        ("timout", "timeout"), ("Concurrency", "concurrency"), ("maxbody", "maxBody"), ("ueue", "queue"),
        ("retyr", "retry"),
    ])
    func suggestsTheNearestWord(typed: String, meant: String) {
        let words = ["timeout", "concurrency", "maxBody", "queue", "retry"]
        #expect(Suggestion.nearest(to: typed, in: words) == meant)
    }

    @Test(arguments: ["x", "colour", "", "zzzzzzzz", String(repeating: "q", count: 500)])
    func suggestsNothingFarAway(typed: String) {
        #expect(Suggestion.nearest(to: typed, in: ["timeout", "concurrency", "maxBody", "queue", "retry"]) == nil)
    }
}
