internal import struct Foundation.Date
internal import struct Foundation.TimeZone

/// What a clock on the wall shows in a time zone; all times in whole seconds since 1970.
struct WallClock {
    let zone: TimeZone

    /// How much the clock is ahead of UTC.
    func offset(at time: Int64) -> Int64 {
        Int64(zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(time))))
    }

    /// When the offset that holds at `start` ends; it must not hold at `end`. Two changes in between count as one.
    func change(after start: Int64, upTo end: Int64) -> Int64 {
        let offset = offset(at: start)
        var (low, high) = (start, end)
        while high - low > 1 {
            let middle = low + (high - low) / 2
            if self.offset(at: middle) == offset { low = middle } else { high = middle }
        }
        return high
    }

    /// When the clock first shows a local time; for one that it skips, when it does so.
    func instant(of local: Int64) -> Int64 {
        let before = offset(at: local - 86_400)
        let after = offset(at: local + 86_400)
        if before == after { return local - before }
        let change = change(after: local - 86_400, upTo: local + 86_400)
        if local - before < change { return local - before }
        return max(local - after, change)
    }
}
