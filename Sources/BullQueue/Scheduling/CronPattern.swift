internal import FunctionKit

/// Times as a cron pattern tells them: five fields, or six with the seconds first.
///
/// A field is `*`, or values with commas between: a number, a range `1-5`, either with a step as in `*/10` or `8-18/2`,
/// names of months and days of the week (`JAN`, `MON`), `?` for any day. 7 is Sunday as 0 is. `L` is the last day of the
/// month; in the day of the week `MON#2` is the second Monday of a month and `FRIL` or `LFRI` the last Friday. When both
/// days are given, a time needs only one of them. `@yearly`, `@monthly`, `@weekly`, `@daily` and `@hourly` stand for the
/// patterns that one expects.
///
/// - Source: cron(8) and crontab(5) of Debian; the extensions are those of the libraries that BullMQ's clients use.
public struct CronPattern: Sendable, Hashable, CustomStringConvertible {
    /// The pattern as it was given.
    public let description: String
    let seconds: UInt64
    let minutes: UInt64
    let hours: UInt64
    let days: UInt64
    let hasLastDay: Bool
    let months: UInt64
    /// Six bits for each day of the week from Sunday: the first to the fifth in a month, and the last.
    let weekdays: UInt64
    let isDayGiven: Bool
    let isWeekdayGiven: Bool

    /// Whether the pattern takes every hour, so that it is an interval rather than a time of the day.
    var takesEveryHour: Bool { hours == CronPattern.bits(0...23) }

    /// Reads a pattern.
    ///
    /// - Throws: ``BullError`` with code `.invalidSchedule` that names every problem.
    public init(_ text: String) throws(BullError) {
        var problems: [String] = []
        guard let pattern = CronPattern(text, &problems), problems.isEmpty else {
            throw BullError(.invalidSchedule, problems.joined(separator: "; "))
        }
        self = pattern
    }

    /// Every problem of a text as a pattern; none when it is one.
    public static func problems(in text: String) -> [String] {
        var problems: [String] = []
        _ = CronPattern(text, &problems)
        return problems
    }

    private init?(_ text: String, _ problems: inout [String]) {
        guard text.utf8.count <= 256 else {
            problems.append("a pattern has at most 256 bytes")
            return nil
        }
        let upper = text.uppercased()
        let trimmed = upper.drop { $0 == " " || $0 == "\t" }
        var fields = trimmed.split { $0 == " " || $0 == "\t" }
        if trimmed.hasPrefix("@") {
            guard fields.count == 1, let long = CronPattern.short[fields[0]] else {
                let known = CronPattern.short.keys.sorted().joined(separator: ", ").lowercased()
                problems.append("\"\(text)\" is not one of \(known)")
                return nil
            }
            fields = long.split(separator: " ")
        }
        guard fields.count == 5 || fields.count == 6 else {
            problems.append("a pattern has five fields, or six with the seconds first, not \(fields.count)")
            return nil
        }
        if fields.count == 5 { fields.insert("0", at: 0) }
        var sets: [CronFieldSet] = []
        for (field, text) in zip(CronField.allCases, fields) {
            var set = CronFieldSet(field)
            set.read(text, &problems)
            sets.append(set)
        }
        description = text
        (seconds, minutes, hours, days) = (sets[0].bits, sets[1].bits, sets[2].bits, sets[3].bits)
        (months, weekdays) = (sets[4].bits, sets[5].bits)
        hasLastDay = sets[3].hasLast
        (isDayGiven, isWeekdayGiven) = (sets[3].isGiven, sets[5].isGiven)
        if problems.isEmpty, !hasADate {
            problems.append("no month of the pattern has a day of the pattern, so it never comes")
        }
    }

    private static let short: [Substring: String] = [
        "@YEARLY": "0 0 1 1 *", "@ANNUALLY": "0 0 1 1 *", "@MONTHLY": "0 0 1 * *", "@WEEKLY": "0 0 * * 0",
        "@DAILY": "0 0 * * *", "@MIDNIGHT": "0 0 * * *", "@HOURLY": "0 * * * *",
    ]

    /// Whether any date can match: a day of the week always comes, a day such as 30 February never.
    private var hasADate: Bool {
        if isWeekdayGiven || hasLastDay { return true }
        let lengths = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        return lengths.enumerated().contains { index, length in
            months & 1 << UInt64(index + 1) != 0 && days & CronPattern.bits(1...length) != 0
        }
    }

    static func bits(_ range: ClosedRange<Int>) -> UInt64 {
        range.reduce(0) { $0 | 1 << UInt64($1) }
    }
}

extension CronPattern {
    /// Whether a date matches the fields of its day; the month is the caller's.
    func takes(_ date: CivilTime) -> Bool {
        let length = CronPattern.length(ofMonth: date.month, year: date.year)
        let isDay = days & 1 << UInt64(date.day) != 0 || (hasLastDay && date.day == length)
        var kinds: UInt64 = 1 << UInt64((date.day - 1) / 7)
        if date.day + 7 > length { kinds |= 1 << 5 }
        let isWeekday = weekdays >> UInt64(date.weekday * 6) & kinds != 0
        return isDayGiven && isWeekdayGiven ? isDay || isWeekday : isDay && isWeekday
    }

    static func length(ofMonth month: Int, year: Int) -> Int {
        switch month {
        case 4, 6, 9, 11: 30
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        default: 31
        }
    }

    /// The first time of the day that matches, at `second` of the day or later; in seconds.
    func time(from second: Int) -> Int? {
        let (hour, minute, rest) = (second / 3600, second / 60 % 60, second % 60)
        let first = minutes.trailingZeroBitCount * 60 + seconds.trailingZeroBitCount
        if hours & 1 << UInt64(hour) != 0 {
            if minutes & 1 << UInt64(minute) != 0, let match = CronPattern.bit(of: seconds, from: rest) {
                return hour * 3600 + minute * 60 + match
            }
            if let match = CronPattern.bit(of: minutes, from: minute + 1) {
                return hour * 3600 + match * 60 + seconds.trailingZeroBitCount
            }
        }
        return CronPattern.bit(of: hours, from: hour + 1).map { $0 * 3600 + first }
    }

    private static func bit(of bits: UInt64, from index: Int) -> Int? {
        let rest = (bits >> UInt64(index)) << UInt64(index)
        return rest == 0 ? nil : rest.trailingZeroBitCount
    }
}
