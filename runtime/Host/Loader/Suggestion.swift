/// Finds what somebody probably meant to write.
enum Suggestion {
    /// The candidate with the fewest edits away, when they are few for its length.
    static func nearest(to word: String, in candidates: some Sequence<String>) -> String? {
        guard word.count <= 64 else { return nil }
        let typed = Array(word.lowercased())
        let scored = candidates.map { (distance: distance(typed, Array($0.lowercased())), candidate: $0) }
        guard let best = scored.min(by: { ($0.distance, $0.candidate) < ($1.distance, $1.candidate) }) else {
            return nil
        }
        return best.distance <= max(1, min(word.count, best.candidate.count) / 3) ? best.candidate : nil
    }

    /// The edits (insert, delete, replace, swap of neighbours) from one word to another: optimal string alignment.
    private static func distance(_ left: [Character], _ right: [Character]) -> Int {
        var rows = [Array(0...right.count)]
        for i in left.indices {
            var row = [i + 1]
            for j in right.indices {
                var cost = min(row[j] + 1, rows[i][j + 1] + 1, rows[i][j] + (left[i] == right[j] ? 0 : 1))
                if i > 0, j > 0, left[i] == right[j - 1], left[i - 1] == right[j] {
                    cost = min(cost, rows[i - 1][j - 1] + 1)
                }
                row.append(cost)
            }
            rows.append(row)
        }
        return rows[left.count][right.count]
    }
}
