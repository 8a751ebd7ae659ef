public import FunctionKit

public import struct Foundation.TimeZone

// Fields tell local times; what runs is an instant. Where a zone's clocks are changed the two do not match one to one:
// - A pattern that takes every hour is an interval: it matches whatever the clock on the wall shows, so it goes on evenly
//   through an hour that is repeated, and makes up for nothing in one that is skipped.
// - Any other names times of the day, and each of them runs once: one that is skipped runs at the instant of the change,
//   one that is repeated runs the first time.
// Local times are counted as seconds since 1970 on the wall's clock, so that a date is arithmetic and needs no calendar.
extension CronPattern {
    /// No pattern that comes at all lets one wait longer: a fifth Monday in February comes each 28 years, and once 40.
    private static let horizonDays: Int64 = 45 * 366

    /// The first time of the pattern after another, to the second.
    ///
    /// - Parameters:
    ///   - time: From 1970 to 2400.
    ///   - zone: Where the fields are read. A local time that a change of the clocks skips runs at the change, one that
    ///     is repeated runs the first time; a pattern that takes every hour goes on evenly.
    /// - Returns: The time, or `nil` when there is none in the next 45 years.
    public func next(after time: Timestamp, in zone: TimeZone) -> Timestamp? {
        guard (0...13_569_465_600_000).contains(time.milliseconds) else { return nil }
        let clock = WallClock(zone: zone)
        let start = time.milliseconds / 1000
        let next = takesEveryHour ? nextEvenly(after: start, clock) : nextTimeOfDay(after: start, clock)
        return next.map { Timestamp(milliseconds: $0 * 1000) }
    }

    private func nextEvenly(after start: Int64, _ clock: WallClock) -> Int64? {
        var from = start + 1
        // Each round passes a change of the clocks; there are a few a year.
        for _ in 0..<1000 {
            let offset = clock.offset(at: from)
            guard let local = match(from: from + offset) else { return nil }
            let candidate = local - offset
            // A change in between may show times again that come before the candidate.
            let near = min(candidate, from + 86_400)
            if clock.offset(at: near) != offset {
                from = clock.change(after: from, upTo: near)
            } else if clock.offset(at: candidate) != offset {
                from = clock.change(after: near, upTo: candidate)
            } else {
                return candidate
            }
        }
        return nil
    }

    private func nextTimeOfDay(after start: Int64, _ clock: WallClock) -> Int64? {
        var local = start + clock.offset(at: start) + 1
        // Only times that are shown a second time come to naught: at most a day of them.
        for _ in 0...86_400 {
            guard let match = match(from: local) else { return nil }
            let instant = clock.instant(of: match)
            if instant > start { return instant }
            local = match + 1
        }
        return nil
    }

    /// The first local time that matches, at `local` or later.
    private func match(from local: Int64) -> Int64? {
        var day = local / 86_400
        var second = Int(local % 86_400)
        let last = day + CronPattern.horizonDays
        while day <= last {
            let date = CivilTime(Timestamp(milliseconds: day * 86_400_000))
            if months & 1 << UInt64(date.month) == 0 {
                day += Int64(CronPattern.length(ofMonth: date.month, year: date.year) - date.day + 1)
            } else {
                if takes(date), let time = time(from: second) { return day * 86_400 + Int64(time) }
                day += 1
            }
            second = 0
        }
        return nil
    }
}
