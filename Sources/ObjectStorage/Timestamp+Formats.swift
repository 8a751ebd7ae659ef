internal import FunctionKit

extension Timestamp {
    /// The time of a date in UTC, proleptic Gregorian; `nil` when there is no such date.
    ///
    /// - Source: "days from civil" in Howard Hinnant, chrono-compatible low-level date algorithms.
    init?(utcYear year: Int, month: Int, day: Int, hour: Int, minute: Int, second: Int, millisecond: Int = 0) {
        guard (0...9999).contains(year), (1...12).contains(month), (1...31).contains(day), (0...23).contains(hour),
            (0...59).contains(minute), (0...59).contains(second), (0...999).contains(millisecond)
        else { return nil }
        let shifted = year + 400 - (month <= 2 ? 1 : 0)
        let era = shifted / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        let dayNumber = Int64((era - 1) * 146_097 + dayOfEra - 719_468)
        let inDay = Int64(((hour * 60 + minute) * 60 + second) * 1000 + millisecond)
        let time = Timestamp(milliseconds: dayNumber * 86_400_000 + inDay)
        // A 31st of a month with 30 days comes out as the 1st of the next one.
        guard CivilTime(time).day == day else { return nil }
        self = time
    }

    /// Reads the two forms that S3 uses: RFC 3339 in UTC (`2009-10-12T17:50:30.000Z`, in listings) and IMF-fixdate
    /// (`Fri, 12 Oct 2009 17:50:30 GMT`, in header fields).
    init?(s3 text: String) {
        if text.hasSuffix("GMT") { self.init(imfFixdate: text) } else { self.init(rfc3339: text) }
    }

    private init?(rfc3339 text: String) {
        let parts = text.split(whereSeparator: { "-:.TZ".contains($0) }).map { Int($0) }
        guard text.hasSuffix("Z"), parts.count == 6 || parts.count == 7, let year = parts[0], let month = parts[1],
            let day = parts[2], let hour = parts[3], let minute = parts[4], let second = parts[5]
        else { return nil }
        self.init(utcYear: year, month: month, day: day, hour: hour, minute: minute, second: second)
    }

    /// - Source: RFC 9110 section 5.6.7.
    private init?(imfFixdate text: String) {
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        let parts = text.split(separator: " ")
        guard parts.count == 6, let day = Int(parts[1]), let month = months.firstIndex(of: String(parts[2])),
            let year = Int(parts[3])
        else { return nil }
        let clock = parts[4].split(separator: ":").map { Int($0) }
        guard clock.count == 3, let hour = clock[0], let minute = clock[1], let second = clock[2] else { return nil }
        self.init(utcYear: year, month: month + 1, day: day, hour: hour, minute: minute, second: second)
    }
}
