import FunctionKit
import Glibc
import Host
import Logging
import NIOCore
import Synchronization

/// Where a process writes: what it announces to standard output, its log to standard error.
enum LogOutput {
    /// The place in `Logger.Level.allCases` of the least level that is logged; like the logging system there is one for
    /// the process.
    private static let levelIndex = Atomic(2)

    /// The least level that is logged, by loggers that have none of their own.
    static var level: Logger.Level {
        get { Logger.Level.allCases[levelIndex.load(ordering: .relaxed)] }
        set { levelIndex.store(Logger.Level.allCases.firstIndex(of: newValue) ?? 2, ordering: .relaxed) }
    }

    /// Sets the process's loggers up; `file` gets their lines too.
    static func bootstrap(_ settings: Configuration.Log, file: LogFile? = nil, metadata: Logger.Metadata = [:]) {
        level = settings.level
        LoggingSystem.bootstrap { _ in
            var handler: any LogHandler =
                switch settings.format {
                case .text: TextLogHandler(file: file)
                case .json: JSONLogHandler(file: file)
                }
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
    private let file: LogFile?
    private var ownLevel: Logger.Level?
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?

    init(file: LogFile?) { self.file = file }

    var logLevel: Logger.Level {
        get { ownLevel ?? LogOutput.level }
        set { ownLevel = newValue }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let merged = merged(event)
        file?.append(LogLine.json(level: event.level.rawValue, message: "\(event.message)", merged))
        LogOutput.write(
            LogLine.text(level: event.level.rawValue, message: "\(event.message)", merged) + "\n", to: STDERR_FILENO)
    }
}

/// One JSON object a line.
struct JSONLogHandler: LogHandler {
    private let file: LogFile?
    private var ownLevel: Logger.Level?
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?

    init(file: LogFile?) { self.file = file }

    var logLevel: Logger.Level {
        get { ownLevel ?? LogOutput.level }
        set { ownLevel = newValue }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let line = LogLine.json(level: event.level.rawValue, message: "\(event.message)", merged(event))
        file?.append(line)
        LogOutput.write(String(buffer: line) + "\n", to: STDERR_FILENO)
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
