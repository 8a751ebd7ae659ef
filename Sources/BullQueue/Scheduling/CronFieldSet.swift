/// The values of one field of a cron pattern, as they are read.
struct CronFieldSet {
    let field: CronField
    /// A bit for each value; for the day of the week six, as ``CronPattern/weekdays``.
    private(set) var bits: UInt64 = 0
    private(set) var hasLast = false
    /// Whether the field leaves any value out.
    var isGiven: Bool {
        var all = CronFieldSet(field)
        all.insert(field.range, step: 1)
        return bits & all.bits != all.bits
    }

    init(_ field: CronField) { self.field = field }

    mutating func read(_ text: Substring, _ problems: inout [String]) {
        for item in text.split(separator: ",", omittingEmptySubsequences: false) {
            if let problem = add(item, isOnly: item == text) {
                problems.append("\(field.name) \"\(item)\" \(problem)")
            }
        }
    }

    /// Adds one of the values between commas; returns what is wrong with it.
    private mutating func add(_ item: Substring, isOnly: Bool) -> String? {
        if item.isEmpty { return "is empty" }
        if item.hasPrefix("?") {
            let isDay = field == .dayOfMonth || field == .dayOfWeek
            guard isDay, isOnly, item == "?" else { return "is out of place: ? stands alone, for any day" }
            insert(field.range, step: 1)
            return nil
        }
        if item == "L", field == .dayOfMonth {
            hasLast = true
            return nil
        }
        if field == .dayOfWeek, item.contains("#") || item.hasPrefix("L") || item.hasSuffix("L") {
            return addNth(item)
        }
        let parts = item.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2 else { return "has more than one step" }
        var step = 1
        if parts.count == 2 {
            guard let number = parts[1].utf8.count <= 4 ? Int(parts[1]) : nil, number >= 1,
                number <= field.range.upperBound
            else { return "has a step that is not 1…\(field.range.upperBound)" }
            step = number
        }
        if parts[0] == "*" {
            insert(field.range, step: step)
            return nil
        }
        let ends = parts[0].split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count <= 2, let low = field.value(ends[0]), var high = field.value(ends[ends.count - 1]) else {
            return "is neither a value, a range nor *"
        }
        guard field.range.contains(low), field.range.contains(high) else {
            return "is out of \(field.range.lowerBound)…\(field.range.upperBound)"
        }
        if ends.count == 1, parts.count == 2 { high = field == .dayOfWeek ? max(low, 6) : field.range.upperBound }
        if field == .dayOfWeek, low > 0, ends.last == "SUN" { high = 7 }
        guard low <= high else { return "runs backwards" }
        insert(low...high, step: step)
        return nil
    }

    /// `MON#2`, `FRIL` or `LFRI`.
    private mutating func addNth(_ item: Substring) -> String? {
        let day: Substring
        var kind = 5
        if let mark = item.firstIndex(of: "#") {
            day = item[..<mark]
            guard let number = Int(item[item.index(after: mark)...]), (1...5).contains(number) else {
                return "has a number behind # that is not 1…5"
            }
            kind = number - 1
        } else {
            day = item.hasPrefix("L") ? item.dropFirst() : item.dropLast()
        }
        guard let value = field.value(day), field.range.contains(value) else { return "names no day of the week" }
        bits |= 1 << UInt64(value % 7 * 6 + kind)
        return nil
    }

    private mutating func insert(_ range: ClosedRange<Int>, step: Int) {
        let range = field == .dayOfWeek && range == 0...7 ? 0...6 : range
        for value in stride(from: range.lowerBound, through: range.upperBound, by: step) {
            bits |= field == .dayOfWeek ? 0b11111 << UInt64(value % 7 * 6) : 1 << UInt64(value)
        }
    }
}
