internal import FunctionKit
internal import Glibc

extension Timestamp {
    /// Reads a time such as `2026-01-31T12:00:00Z`, also with milliseconds (RFC 3339 in UTC); `nil` for anything else.
    init?(utc text: String) {
        let digits = text.utf8.map { Int32($0) - 48 }
        guard digits.count == 20 || digits.count == 24 else { return nil }
        func number(_ range: Range<Int>) -> Int32 { digits[range].reduce(0) { $0 &* 10 &+ $1 } }
        var fields = tm()
        fields.tm_year = number(0..<4) - 1900
        fields.tm_mon = number(5..<7) - 1
        fields.tm_mday = number(8..<10)
        fields.tm_hour = number(11..<13)
        fields.tm_min = number(14..<16)
        fields.tm_sec = number(17..<19)
        let fraction = digits.count == 24 ? number(20..<23) : 0
        self.init(milliseconds: Int64(timegm(&fields)) * 1000 + Int64(fraction))
        // What is no number, has other marks or no place in the calendar comes out as another text.
        guard rfc3339 == (digits.count == 24 ? text : String(text.dropLast()) + ".000Z") else { return nil }
    }
}
