import FunctionKit
import Glibc
import Host
import Logging

/// Where a process writes: what it announces to standard output, its log to standard error.
enum LogOutput {
    static func bootstrap(_ settings: Configuration.Log, metadata: Logger.Metadata = [:]) {
        LoggingSystem.bootstrap { _ in
            var handler: any LogHandler =
                switch settings.format {
                case .text: TextLogHandler()
                case .json: JSONLogHandler()
                }
            handler.logLevel = settings.level
            handler.metadata = metadata
            return handler
        }
    }

    /// Prints a line at once, also where standard output is a file or a pipe.
    static func announce(_ line: String) {
        write(line + "\n", to: STDOUT_FILENO)
    }

    /// Prints why a function is not served, with the source's line where the compiler gave one.
    static func problem(_ problem: FunctionProblem) {
        var text = "not served: \(problem.function): \(problem.description)\n"
        if let excerpt = problem.problem.excerpt { text += excerpt + "\n" }
        write(text, to: STDERR_FILENO)
    }

    static func write(_ text: String, to descriptor: CInt) {
        var text = text
        text.withUTF8 { bytes in
            var rest = bytes[...]
            while !rest.isEmpty {
                let written = Glibc.write(descriptor, UnsafeBufferPointer(rebasing: rest).baseAddress, rest.count)
                if written < 0, errno == EINTR { continue }
                guard written > 0 else { return }
                rest = rest.dropFirst(written)
            }
        }
    }
}

/// One line an entry, for people: time, level, message, metadata.
struct TextLogHandler: LogHandler {
    var logLevel = Logger.Level.info
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var line = "\(Timestamp.now) \(event.level) \(event.message)"
        for (key, value) in merged(event).sorted(by: { $0.key < $1.key }) { line += " \(key)=\(value)" }
        LogOutput.write(line.replacing("\n", with: "\\n") + "\n", to: STDERR_FILENO)
    }
}

/// One JSON object a line.
struct JSONLogHandler: LogHandler {
    /// The members that every line has; metadata of the same name is left out.
    private static let own: Set<String> = ["time", "level", "message"]

    var logLevel = Logger.Level.info
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var writer = JSONWriter()
        writer.object { json in
            json.key("time")
            json.value(Timestamp.now.rfc3339)
            json.key("level")
            json.value(event.level.rawValue)
            json.key("message")
            json.value("\(event.message)")
            for (key, value) in merged(event).sorted(by: { $0.key < $1.key }) where !JSONLogHandler.own.contains(key) {
                json.key(escaping: key)
                json.value("\(value)")
            }
        }
        LogOutput.write(String(buffer: writer.buffer) + "\n", to: STDERR_FILENO)
    }
}

extension LogHandler {
    fileprivate func merged(_ event: LogEvent) -> Logger.Metadata {
        var all = metadata
        if let provided = metadataProvider?.get() { all.merge(provided) { _, new in new } }
        if let own = event.metadata { all.merge(own) { _, new in new } }
        return all
    }
}
