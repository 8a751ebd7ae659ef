import FunctionKit
import Logging
import NIOCore

/// A line of the log as one JSON object.
enum LogLine {
    /// The members that every line has; metadata of the same name is left out.
    private static let own: Set<String> = ["time", "level", "message"]

    /// Makes a line for people, without its end. What could end it, or change a terminal, is spelled out.
    static func text(level: String, message: String, _ metadata: Logger.Metadata) -> String {
        var line = "\(Timestamp.now) \(level) \(message)"
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }) { line += " \(key)=\(value)" }
        let isPlain = line.utf8.allSatisfy { (0x20..<0x7F).contains($0) }
        return isPlain ? line : Terminal.plain(line).replacing(#"\u{a}"#, with: #"\n"#)
    }

    /// Makes a line, without its end.
    static func json(level: String, message: String, _ metadata: Logger.Metadata) -> ByteBuffer {
        var writer = JSONWriter()
        writer.object { json in
            json.key("time")
            json.value(Timestamp.now.rfc3339)
            json.key("level")
            json.value(level)
            json.key("message")
            json.value(message)
            for (key, value) in metadata.sorted(by: { $0.key < $1.key }) where !own.contains(key) {
                json.key(escaping: key)
                json.value("\(value)")
            }
        }
        return writer.buffer
    }
}
