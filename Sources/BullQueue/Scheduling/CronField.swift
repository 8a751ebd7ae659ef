/// A field of a cron pattern and the values that it may have.
enum CronField: CaseIterable {
    case second
    case minute
    case hour
    case dayOfMonth
    case month
    case dayOfWeek

    /// What messages call it.
    var name: String {
        switch self {
        case .second: "seconds"
        case .minute: "minutes"
        case .hour: "hours"
        case .dayOfMonth: "day of month"
        case .month: "month"
        case .dayOfWeek: "day of week"
        }
    }

    var range: ClosedRange<Int> {
        switch self {
        case .second, .minute: 0...59
        case .hour: 0...23
        case .dayOfMonth: 1...31
        case .month: 1...12
        // 7 is Sunday as 0 is.
        case .dayOfWeek: 0...7
        }
    }

    /// The names of values, the first one that of the range's first value.
    private var names: [String] {
        switch self {
        case .month: ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
        case .dayOfWeek: ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
        default: []
        }
    }

    /// The value of a number or an upper-case name, `nil` for anything else.
    func value(_ text: Substring) -> Int? {
        if let index = names.firstIndex(of: String(text)) { return range.lowerBound + index }
        let isNumber = !text.isEmpty && text.utf8.count <= 4 && text.utf8.allSatisfy { (48...57).contains($0) }
        return isNumber ? Int(text) : nil
    }
}
