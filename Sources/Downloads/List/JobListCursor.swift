internal import FunctionKit

/// Where a page of a list of jobs ended, as text that callers hand back unread: the time in base 36, a dot, the id's digits.
enum JobListCursor {
    static func text(_ place: HistoryPlace) -> String {
        "\(String(place.time.milliseconds, radix: 36)).\(place.id.replacing("-", with: ""))"
    }

    /// - Returns: `nil` for what is no cursor.
    static func place(_ text: String) -> HistoryPlace? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        // Nine digits end in the year 5188; more are no time of any store.
        let isPlain = text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x7A).contains($0) || $0 == 0x2E }
        guard isPlain, parts.count == 2, parts[0].utf8.count <= 9, parts[1].utf8.count == 32,
            let time = Int64(parts[0], radix: 36)
        else { return nil }
        // Of bytes: 32 of them may be fewer characters.
        let digits = Array(parts[1].utf8)
        let bounds = [0, 8, 12, 16, 20, 32]
        let id = zip(bounds, bounds.dropFirst())
            .map { String(decoding: digits[$0..<$1], as: UTF8.self) }.joined(separator: "-")
        return JobID(id).map { HistoryPlace(time: Timestamp(milliseconds: time), id: $0.description) }
    }
}
