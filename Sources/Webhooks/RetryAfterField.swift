internal import FunctionKit

/// Reads the field `Retry-After` (RFC 9110 section 10.2.3): seconds, or a date in the form of section 5.6.7.
enum RetryAfterField {
    /// - Returns: `nil` for what is neither; zero for a time that has passed.
    static func duration(_ text: String, at now: Timestamp) -> Duration? {
        if text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) {
            // A year is as good as any longer time.
            return text.isEmpty ? nil : .seconds(min(Int64(text.prefix(10)) ?? .max, 31_536_000))
        }
        // Sun, 06 Nov 1994 08:49:37 GMT
        let words = text.split(separator: " ")
        guard words.count == 6, words[5] == "GMT", words[1].count == 2, words[3].count == 4,
            let month = months.firstIndex(of: String(words[2])),
            let date = Timestamp(rfc3339: "\(words[3])-\(month < 9 ? "0" : "")\(month + 1)-\(words[1])T\(words[4])Z")
        else { return nil }
        return .milliseconds(min(max(0, date.milliseconds - now.milliseconds), 31_536_000_000))
    }

    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]
}
