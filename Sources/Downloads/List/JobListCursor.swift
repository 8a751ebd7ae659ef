internal import FunctionKit

/// Where a page of a list of jobs ended, as text that callers hand back unread: the time in base 36, a dot, the id's digits.
enum JobListCursor {
    static func text(_ place: HistoryPlace) -> String {
        "\(String(place.time.milliseconds, radix: 36)).\(place.id.replacing("-", with: ""))"
    }

    /// The end of the year 9999; a database may know no later time.
    private static let lastTime: Int64 = 253_402_300_799_999

    /// - Returns: `nil` for what is no cursor.
    static func place(_ text: String) -> HistoryPlace? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0].utf8.count <= 11, parts[1].utf8.count == 32,
            let time = Int64(parts[0], radix: 36), (0...lastTime).contains(time)
        else { return nil }
        // Of bytes: 32 of them may be fewer characters.
        let digits = Array(parts[1].utf8)
        let bounds = [0, 8, 12, 16, 20, 32]
        let id = zip(bounds, bounds.dropFirst())
            .map { String(decoding: digits[$0..<$1], as: UTF8.self) }.joined(separator: "-")
        return JobID(id).map { HistoryPlace(time: Timestamp(milliseconds: time), id: $0.description) }
    }
}
