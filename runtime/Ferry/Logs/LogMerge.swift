/// The logs of a folder as one, by time. Each call reads what has come since the one before.
final class LogMerge {
    private final class Source {
        var reader: LogReader

        init(_ reader: consuming LogReader) { self.reader = reader }
    }

    private let folder: String
    private var sources: [String: Source] = [:]

    init(_ folder: String) { self.folder = folder }

    /// Gives every line that is there and was not given yet, of all processes, the earliest first.
    func read(_ body: (LogEntry) -> Void) {
        let names = LogFolder.names(folder)
        for name in names where sources[name] == nil { sources[name] = Source(LogReader(folder, name)) }
        while true {
            var earliest: (time: String, source: Source)?
            for (_, source) in sources.sorted(by: { $0.key < $1.key }) {
                guard let time = source.reader.peek() else { continue }
                if earliest.map({ time < $0.time }) ?? true { earliest = (time, source) }
            }
            guard let entry = earliest?.source.reader.take() else { break }
            body(entry)
        }
        // Logs that were removed have been read to their ends.
        for name in sources.keys where !names.contains(name) { sources[name] = nil }
    }
}
