import Foundation
import FunctionKit
import Testing

@testable import BullQueue

@Suite struct CronPatternTests {
    /// `[pattern, zone, after, next]`, from Fixtures/make_cron.py.
    static let cases: [JSONNode] = {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        guard let text = try? String(contentsOf: folder.appendingPathComponent("Fixtures/cron.json"), encoding: .utf8)
        else { return [] }
        return JSONNode(parsing: text)?.elements ?? []
    }()

    @Test func `patterns come when the peer's library says, in every zone`() throws {
        #expect(CronPatternTests.cases.count == 600)
        for node in CronPatternTests.cases {
            let parts = node.elements
            let (text, name) = (parts[0].string ?? "", parts[1].string ?? "")
            let zone = try #require(TimeZone(identifier: name))
            let after = Timestamp(milliseconds: Int64(parts[2].number ?? 0))
            let next = try CronPattern(text).next(after: after, in: zone)
            let expected = Timestamp(milliseconds: Int64(parts[3].number ?? 0))
            #expect(next == expected, "\(text) in \(name) after \(after)")
        }
    }

    private func times(_ text: String, _ zone: String, after: String, count: Int) throws -> [String] {
        let zone = try #require(TimeZone(identifier: zone))
        let format = ISO8601DateFormatter()
        let start = try #require(format.date(from: after))
        format.timeZone = zone
        var time = Timestamp(milliseconds: Int64(start.timeIntervalSince1970 * 1000))
        var times: [String] = []
        for _ in 0..<count {
            time = try #require(try CronPattern(text).next(after: time, in: zone))
            times.append(format.string(from: Date(timeIntervalSince1970: Double(time.milliseconds) / 1000)))
        }
        return times
    }

    @Test func `a time that the clocks skip runs at the change, once`() throws {
        #expect(
            try times("30 2 * * *", "Europe/Berlin", after: "2026-03-28T12:00:00Z", count: 2)
                == ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"])
        #expect(
            try times("0,30 2,3 * * *", "Europe/Berlin", after: "2026-03-29T00:00:00Z", count: 3)
                == ["2026-03-29T03:00:00+02:00", "2026-03-29T03:30:00+02:00", "2026-03-30T02:00:00+02:00"])
        #expect(
            try times("0 0 * * *", "America/Sao_Paulo", after: "2018-11-03T12:00:00Z", count: 2)
                == ["2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00"])
    }

    @Test func `a day that a zone leaves out runs at its end`() throws {
        #expect(
            try times("0 12 30 12 *", "Pacific/Apia", after: "2011-12-29T12:00:00Z", count: 1)
                == ["2011-12-31T00:00:00+14:00"])
    }

    @Test func `a time that the clocks repeat runs the first time only`() throws {
        #expect(
            try times("30 2 * * *", "Europe/Berlin", after: "2026-10-24T12:00:00Z", count: 2)
                == ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"])
        #expect(
            try times("0,30 2 * * *", "Europe/Berlin", after: "2026-10-25T01:10:00Z", count: 1)
                == ["2026-10-26T02:00:00+01:00"])
    }

    @Test func `a pattern of every hour goes on evenly`() throws {
        #expect(
            try times("15 * * * *", "Europe/Berlin", after: "2026-10-24T23:50:00Z", count: 4)
                == [
                    "2026-10-25T02:15:00+02:00", "2026-10-25T02:15:00+01:00", "2026-10-25T03:15:00+01:00",
                    "2026-10-25T04:15:00+01:00",
                ])
        #expect(
            try times("15 * * * *", "Europe/Berlin", after: "2026-03-28T23:50:00Z", count: 3)
                == ["2026-03-29T01:15:00+01:00", "2026-03-29T03:15:00+02:00", "2026-03-29T04:15:00+02:00"])
    }

    @Test func `rare days are found, and days that never come are refused`() throws {
        #expect(
            try times("0 0 29 2 *", "UTC", after: "2096-03-01T00:00:00Z", count: 1) == ["2104-02-29T00:00:00Z"])
        #expect(
            try times("0 0 * 2 MON#5", "UTC", after: "2026-01-01T00:00:00Z", count: 1) == ["2044-02-29T00:00:00Z"])
        #expect(
            try times("0 0 L 2 *", "UTC", after: "2026-01-01T00:00:00Z", count: 2)
                == ["2026-02-28T00:00:00Z", "2027-02-28T00:00:00Z"])
        for text in ["0 0 30 2 *", "0 0 31 4,6,9,11 *"] {
            #expect(
                CronPattern.problems(in: text) == [
                    "no month of the pattern has a day of the pattern, so it never comes"
                ])
        }
        let late = Timestamp(milliseconds: 14_000_000_000_000)
        #expect(try CronPattern("* * * * *").next(after: late, in: .gmt) == nil)
    }

    @Test(arguments: [
        ("@hourly", "0 * * * *"), ("@Daily", "0 0 * * *"), ("@weekly", "0 0 * * SUN"), ("@yearly", "0 0 1 1 *"),
        ("  5/15\t* * jan-Mar  mon-fri ", "5,20,35,50 * * 1-3 1-5"), ("0 0 * * FRI-SUN", "0 0 * * 5,6,0"),
        ("0 0 ? * 5L", "0 0 * * LFRI"), ("0 0 1-31 * 1", "0 0 * * 1"), ("0 0 5 * 0-6", "0 0 5 * *"),
        ("0 0 * * 0-7", "0 0 * * 0-6"), ("0 0 * * 7", "0 0 * * 0"),
        ("00 07 * * *", "0 7 * * *"), ("0 0 0 * * *", "0 0 * * *"), ("*/1 * * * *", "* * * * *"),
    ])
    func `notations of one pattern mean the same`(text: String, same: String) throws {
        let (a, b) = (try CronPattern(text), try CronPattern(same))
        #expect(a.description == text)
        for time in stride(from: Int64(1_700_000_000_000), to: 1_900_000_000_000, by: 2_345_678_901) {
            let time = Timestamp(milliseconds: time)
            #expect(a.next(after: time, in: .gmt) == b.next(after: time, in: .gmt))
        }
    }

    @Test(arguments: [
        ("", ["a pattern has five fields, or six with the seconds first, not 0"]),
        ("* * * *", ["a pattern has five fields, or six with the seconds first, not 4"]),
        ("0 0 * * * * *", ["a pattern has five fields, or six with the seconds first, not 7"]),
        ("@reboot", ["\"@reboot\" is not one of @annually, @daily, @hourly, @midnight, @monthly, @weekly, @yearly"]),
        (
            "60 24 0 13 8",
            [
                "minutes \"60\" is out of 0…59", "hours \"24\" is out of 0…23", "day of month \"0\" is out of 1…31",
                "month \"13\" is out of 1…12", "day of week \"8\" is out of 0…7",
            ]
        ),
        (
            "a 1,,2 1-2-3 */0 5-3",
            [
                "minutes \"A\" is neither a value, a range nor *", "hours \"\" is empty",
                "day of month \"1-2-3\" is neither a value, a range nor *", "month \"*/0\" has a step that is not 1…12",
                "day of week \"5-3\" runs backwards",
            ]
        ),
        (
            "*/60 -5 L-2 * 1#6",
            [
                "minutes \"*/60\" has a step that is not 1…59", "hours \"-5\" is neither a value, a range nor *",
                "day of month \"L-2\" is neither a value, a range nor *",
                "day of week \"1#6\" has a number behind # that is not 1…5",
            ]
        ),
        (
            "? 0/1/2 1,? FOO XL",
            [
                "minutes \"?\" is out of place: ? stands alone, for any day", "hours \"0/1/2\" has more than one step",
                "day of month \"?\" is out of place: ? stands alone, for any day",
                "month \"FOO\" is neither a value, a range nor *", "day of week \"XL\" names no day of the week",
            ]
        ),
        ("99999999999999999999 * * * *", ["minutes \"99999999999999999999\" is neither a value, a range nor *"]),
    ])
    func `every problem of a pattern is named`(text: String, problems: [String]) {
        #expect(CronPattern.problems(in: text) == problems)
        #expect(throws: BullError(.invalidSchedule, "")) { try CronPattern(text) }
    }
}
