internal import Glibc

/// A point in time: whole milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
public struct Timestamp: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// Milliseconds since 1970.
    public let milliseconds: Int64

    /// Makes a time from milliseconds since 1970.
    public init(milliseconds: Int64) { self.milliseconds = milliseconds }

    /// The wall clock's time.
    public static var now: Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }

    /// The time so much later; parts of a millisecond are dropped. Beyond the last time there is, it is that one, and
    /// likewise before the first.
    public static func + (time: Timestamp, duration: Duration) -> Timestamp {
        let (seconds, attoseconds) = duration.components
        let (whole, isLong) = seconds.multipliedReportingOverflow(by: 1000)
        let (sum, isFar) = time.milliseconds.addingReportingOverflow(whole)
        let (later, isBeyond) = sum.addingReportingOverflow(attoseconds / 1_000_000_000_000_000)
        guard !isLong, !isFar, !isBeyond else { return Timestamp(milliseconds: duration < .zero ? .min : .max) }
        return Timestamp(milliseconds: later)
    }

    /// Whether the first is earlier.
    public static func < (a: Timestamp, b: Timestamp) -> Bool { a.milliseconds < b.milliseconds }

    /// RFC 3339 in UTC with milliseconds, for example `2026-11-23T15:04:05.678Z`.
    public var description: String { rfc3339 }

    /// RFC 3339 in UTC with milliseconds, for example `2026-11-23T15:04:05.678Z`.
    public var rfc3339: String {
        let civil = CivilTime(self)
        // A year of more than four digits needs another form (RFC 3339 section 1); it is clamped.
        let year = min(max(civil.year, 0), 9999)
        return String(unsafeUninitializedCapacity: 24) { text in
            func write(_ number: Int, _ width: Int, at start: Int, then separator: Unicode.Scalar) {
                var rest = number
                for index in (start..<start + width).reversed() {
                    text[index] = UInt8(ascii: "0") + UInt8(rest % 10)
                    rest /= 10
                }
                text[start + width] = UInt8(ascii: separator)
            }
            write(year, 4, at: 0, then: "-")
            write(civil.month, 2, at: 5, then: "-")
            write(civil.day, 2, at: 8, then: "T")
            write(civil.hour, 2, at: 11, then: ":")
            write(civil.minute, 2, at: 14, then: ":")
            write(civil.second, 2, at: 17, then: ".")
            write(civil.millisecond, 3, at: 20, then: "Z")
            return 24
        }
    }
}

/// The fields of a time in UTC, proleptic Gregorian.
public struct CivilTime: Sendable {
    /// The year, for example 2026.
    public let year: Int
    /// The month, 1 to 12.
    public let month: Int
    /// The day of the month, 1 to 31.
    public let day: Int
    /// The day of the week, 0 is Sunday.
    public let weekday: Int
    /// The hour, 0 to 23.
    public let hour: Int
    /// The minute, 0 to 59.
    public let minute: Int
    /// The second, 0 to 59.
    public let second: Int
    /// The millisecond, 0 to 999.
    public let millisecond: Int

    /// Splits a time into its fields.
    ///
    /// - Source: "days to civil" in Howard Hinnant, chrono-compatible low-level date algorithms.
    public init(_ time: Timestamp) {
        let (dayNumber, inDay) = CivilTime.floorDivide(time.milliseconds, 86_400_000)
        hour = Int(inDay / 3_600_000)
        minute = Int(inDay / 60_000 % 60)
        second = Int(inDay / 1000 % 60)
        millisecond = Int(inDay % 1000)
        weekday = Int(CivilTime.floorDivide(dayNumber + 4, 7).remainder)
        let (era, dayOfEra) = CivilTime.floorDivide(dayNumber + 719_468, 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        day = Int(dayOfYear - (153 * shifted + 2) / 5 + 1)
        month = Int(shifted < 10 ? shifted + 3 : shifted - 9)
        year = Int(yearOfEra + era * 400) + (month <= 2 ? 1 : 0)
    }

    private static func floorDivide(_ value: Int64, _ divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}
