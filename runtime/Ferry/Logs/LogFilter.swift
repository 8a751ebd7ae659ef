import Logging

/// Which lines of the log are wanted.
struct LogFilter {
    var function: String?
    var level = Logger.Level.trace
    var request: String?
    /// The earliest time, as lines have it.
    var since = ""

    func takes(_ entry: LogEntry) -> Bool {
        entry.level >= level && entry.time >= since && (function == nil || entry["function"] == function)
            && (request == nil || entry["request_id"] == request)
    }
}
