import Host
import Logging

/// A line of a log.
struct LogEntry {
    /// The line as it was written.
    let text: String
    /// RFC 3339 in UTC with milliseconds, so that texts sort as times do.
    let time: String
    let level: Logger.Level
    private let message: String
    private let metadata: [(key: String, value: String)]

    /// Reads a line; `nil` when it is none of the log's.
    init?(_ line: ArraySlice<UInt8>) {
        guard let json = try? PositionedJSON.parse(Array(line)), let members = json.members,
            let time = json["time"]?.string, let level = json["level"]?.string.flatMap(Logger.Level.init(rawValue:))
        else { return nil }
        text = String(decoding: line, as: UTF8.self)
        self.time = time
        self.level = level
        message = json["message"]?.string ?? ""
        metadata = members.compactMap { member in
            guard !["time", "level", "message"].contains(member.key), let value = member.value.string else {
                return nil
            }
            return (member.key, value)
        }
    }

    /// A value of the metadata.
    subscript(_ key: String) -> String? { metadata.first { $0.key == key }?.value }

    /// The form for people, as hosts write it to a terminal.
    func line(_ terminal: Terminal) -> String {
        let colour: Terminal.Colour? = level >= .error ? .red : level >= .warning ? .yellow : nil
        let word = colour.map { terminal.coloured(level.rawValue, $0) } ?? level.rawValue
        let values = metadata.map { " \($0.key)=\($0.value)" }.joined()
        return "\(time) \(word) " + Terminal.plain(message + values)
    }
}
