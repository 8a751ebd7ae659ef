/// A date and time as ZIP keeps it: two-second steps from 1980 to 2107, without a time zone.
///
/// - Source: APPNOTE.TXT 6.3.10, section 4.4.6.
public struct DOSDateTime: Sendable, Hashable {
    /// Bits 0–4: half the seconds, 5–10: the minute, 11–15: the hour.
    public let time: UInt16
    /// Bits 0–4: the day, 5–8: the month, 9–15: the years since 1980.
    public let date: UInt16

    /// Packs a time; a year outside 1980…2107 gives the first or last time that can be told, other fields are clamped.
    public init(year: Int, month: Int, day: Int, hour: Int, minute: Int, second: Int) {
        func clamp(_ value: Int, _ range: ClosedRange<Int>) -> Int {
            min(max(value, range.lowerBound), range.upperBound)
        }
        guard (1980...2107).contains(year) else {
            time = year < 1980 ? 0 : 23 << 11 | 59 << 5 | 29
            date = year < 1980 ? 1 << 5 | 1 : 127 << 9 | 12 << 5 | 31
            return
        }
        time = UInt16(clamp(hour, 0...23) << 11 | clamp(minute, 0...59) << 5 | clamp(second, 0...59) / 2)
        date = UInt16((year - 1980) << 9 | clamp(month, 1...12) << 5 | clamp(day, 1...31))
    }

    /// 1980-01-01 00:00:00.
    public static var earliest: DOSDateTime {
        DOSDateTime(year: 1980, month: 1, day: 1, hour: 0, minute: 0, second: 0)
    }
}
