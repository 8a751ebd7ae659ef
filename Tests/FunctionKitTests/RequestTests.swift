import FunctionKit
import Testing

@Suite struct RequestTests {
    @Test(arguments: [
        ("application/json", true), ("application/json; charset=utf-8", true), ("Application/JSON", true),
        ("application/merge-patch+json", true), ("text/plain", false), ("application/x-www-form-urlencoded", false),
    ])
    func takesOnlyJSONWhereJSONIsNeeded(contentType: String, isAccepted: Bool) throws {
        let request = Request(
            method: .post, path: "/", headers: [.contentType: contentType], body: ByteBuffer(string: "[1]"))
        if isAccepted {
            #expect(try request.decode([Int].self) == [1])
        } else {
            let error = #expect(throws: HTTPError.self) { try request.decode([Int].self) }
            #expect(error?.status == .unsupportedMediaType)
        }
    }

    @Test(arguments: [
        ("a=1&b=2", "b", "2"), ("a=1", "b", nil), ("x=a+b%20c", "x", "a b c"), ("flag&x=1", "flag", ""),
        ("%61=z", "a", "z"), ("a=1&a=2", "a", "1"),
    ])
    func readsQueryParameters(query: String, name: String, expected: String?) {
        #expect(Request(method: .get, path: "/", query: query).queryParameter(name) == expected)
    }

    @Test(arguments: [
        ("abc", "abc"), ("a%20b", "a b"), ("%E2%82%AC", "€"), ("%2f", "/"), ("a+b", "a+b"), ("%", nil), ("%2", nil),
        ("%zz", nil), ("%ff", nil),
    ])
    func decodesEscapesOnceAndRefusesWrongOnes(text: String, expected: String?) {
        #expect(PercentEncoding.decode(text) == expected)
    }

    @Test(arguments: [
        ("aZ09-._~", "aZ09-._~"), ("a b/c", "a%20b%2Fc"), ("€", "%E2%82%AC"), ("+&=%", "%2B%26%3D%25"), ("", ""),
    ])
    func `what is not unreserved is escaped, and comes back`(text: String, encoded: String) {
        #expect(PercentEncoding.encode(text) == encoded)
        #expect(PercentEncoding.decode(encoded) == text)
        #expect(PercentEncoding.encode(text, keeping: "/ ").contains("%2F") == false)
    }
}

@Suite struct TimestampTests {
    @Test(arguments: [
        (0, "1970-01-01T00:00:00.000Z"), (951_827_696_789, "2000-02-29T12:34:56.789Z"),
        (1_795_446_245_678, "2026-11-23T15:04:05.678Z"), (-1, "1969-12-31T23:59:59.999Z"),
        (4_107_542_400_000, "2100-03-01T00:00:00.000Z"), (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ])
    func isWrittenAsRFC3339(milliseconds: Int64, expected: String) {
        #expect(Timestamp(milliseconds: milliseconds).rfc3339 == expected)
    }

    @Test func knowsTheDayOfTheWeek() {
        #expect(CivilTime(Timestamp(milliseconds: 0)).weekday == 4)
        #expect(CivilTime(Timestamp(milliseconds: 1_795_446_245_678)).weekday == 1)
        #expect(CivilTime(Timestamp(milliseconds: -86_400_000)).weekday == 3)
    }

    @Test func addsDurations() {
        #expect((Timestamp(milliseconds: 1000) + .milliseconds(1500)).milliseconds == 2500)
        #expect((Timestamp(milliseconds: 1000) + .seconds(-1)).milliseconds == 0)
        #expect(Timestamp(milliseconds: .max) + .milliseconds(1) == Timestamp(milliseconds: .max))
        #expect(Timestamp(milliseconds: .min) + .milliseconds(-1) == Timestamp(milliseconds: .min))
        #expect(Timestamp(milliseconds: 0) + .seconds(Int64.max) == Timestamp(milliseconds: .max))
    }
}
