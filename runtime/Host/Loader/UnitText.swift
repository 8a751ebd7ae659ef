/// Durations and sizes as configuration files write them: a whole number and a unit, `30s` or `64KiB`.
enum UnitText {
    static func duration(_ text: String) -> Duration? {
        guard let (number, unit) = split(text) else { return nil }
        let milliseconds: Int
        switch unit {
        case "ms": milliseconds = 1
        case "s": milliseconds = 1000
        case "m": milliseconds = 60_000
        case "h": milliseconds = 3_600_000
        default: return nil
        }
        return product(number, milliseconds).map { .milliseconds($0) }
    }

    static func byteCount(_ text: String) -> Int? {
        guard let (number, unit) = split(text) else { return nil }
        let bytes: Int
        switch unit {
        case "B": bytes = 1
        case "KiB": bytes = 1 << 10
        case "MiB": bytes = 1 << 20
        case "GiB": bytes = 1 << 30
        default: return nil
        }
        return product(number, bytes)
    }

    /// A duration in its largest whole unit.
    static func text(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        guard attoseconds == 0 else { return "\(seconds * 1000 + attoseconds / 1_000_000_000_000_000)ms" }
        if seconds != 0, seconds % 3600 == 0 { return "\(seconds / 3600)h" }
        if seconds > 60, seconds % 60 == 0 { return "\(seconds / 60)m" }
        return "\(seconds)s"
    }

    /// A count of bytes in its largest whole unit.
    static func text(byteCount: Int) -> String {
        for (unit, bytes) in [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)]
        where byteCount != 0 && byteCount % bytes == 0 { return "\(byteCount / bytes)\(unit)" }
        return "\(byteCount)B"
    }

    private static func split(_ text: String) -> (Int, Substring)? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard let number = Int(digits) else { return nil }
        return (number, text[digits.endIndex...])
    }

    private static func product(_ number: Int, _ unit: Int) -> Int? {
        let (result, isTooLarge) = number.multipliedReportingOverflow(by: unit)
        return isTooLarge ? nil : result
    }
}
