import Foundation
import Testing

@testable import Host

/// What docs/configuration.md says of the keys, row by row.
struct ConfigurationDocument {
    struct Row: CustomTestStringConvertible, Sendable {
        let path: String
        let type: String
        let defaultText: String
        let meaning: String

        var testDescription: String { path }

        /// The two ends at the beginning of the meaning, such as `50 ms` and `1 h`.
        var bounds: (lower: String, upper: String)? {
            let pattern =
                /^(\d[\d ]*(?:ms|s|min|h|days?|years?|KiB|MiB|GiB)?)…(\d[\d ]*(?:ms|s|min|h|days?|years?|KiB|MiB|GiB)?)/
            guard let match = meaning.firstMatch(of: pattern.asciiOnlyDigits()) else { return nil }
            let upper = match.2.trimmingCharacters(in: .whitespaces)
            let unit = upper.drop { $0.isNumber || $0 == " " }
            let lower = match.1.trimmingCharacters(in: .whitespaces)
            let hasUnit = lower.contains { $0.isLetter }
            return (hasUnit || lower == "0" ? lower : "\(lower) \(unit)", upper)
        }
    }

    /// The rows that keys of the code stand for; those of one budget are not.
    static let rows: [Row] = {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let text = (try? String(contentsOf: root.appending(path: "docs/configuration.md"), encoding: .utf8)) ?? ""
        return text.split(separator: "\n").filter { $0.hasPrefix("| `") }.flatMap { line -> [Row] in
            let cells = line.dropFirst().dropLast().split(separator: " | ", omittingEmptySubsequences: false)
                .map { $0.trimmingCharacters(in: .whitespaces) }
            guard cells.count == 4 else { return [] }
            let paths = cells[0].split(separator: ", ").map { $0.filter { $0 != "`" } }
            return paths.map { Row(path: $0, type: cells[1], defaultText: cells[2], meaning: cells[3]) }
        }
    }()

    /// A documented size or time, as a configuration has it: `10 000`, `64 KiB`, `1 year`.
    static func json(_ text: String, _ kind: ConfigurationKey.Kind, beyond: Int = 0) -> String? {
        let plain = text.filter { $0 != " " && $0 != "\u{A0}" }
        let digits = plain.prefix { $0.isNumber }
        guard let number = Int(digits) else { return nil }
        let unit = String(plain[digits.endIndex...])
        let factors: [String: Int]
        switch kind {
        case .integer: factors = ["": 1]
        case .size: factors = ["": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30]
        case .duration:
            factors = [
                "": 1, "ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "days": 86_400_000, "year": 31_536_000_000,
            ]
        default: return nil
        }
        guard let factor = factors[unit] else { return nil }
        let value = number * factor + beyond
        guard kind == .duration else { return "\(value)" }
        return "\"\(value)ms\""
    }
}
