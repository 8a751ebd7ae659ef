import ArgumentParser
import FunctionKit
import Host
import Logging

/// `ferry logs`: what the hosts of a data folder have logged.
struct Logs: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what hosts have logged.",
        discussion: """
            Shows the lines that the hosts of the data folder keep there (log.file and log.keep in the configuration), of \
            all processes, by time. -f goes on with what comes, over the ends and starts of hosts, until Ctrl-C.

            Examples:
              ferry logs -f
              ferry logs process --level warning --since 1h
              ferry logs --request 4be0643f-1d98-573b-97cd-ca98a65347dd
              ferry logs -f --json | jq .message
            """)

    @Argument(help: "Only lines of this function.", completion: FunctionNames.completion)
    var name: String?

    @Flag(name: [.short, .customLong("follow")], help: "Go on with what comes.")
    var follow = false

    @Option(
        help: "Only lines of this level and above: trace, debug, info, notice, warning, error or critical.",
        completion: .list(Logger.Level.allCases.map(\.rawValue)))
    var level: String?

    @Option(help: ArgumentHelp("Only lines of this request, by its id.", valueName: "id"))
    var request: String?

    @Option(
        help: ArgumentHelp("Only lines of the last 30s, 10m, 1h, 7d, or since a time (RFC 3339).", valueName: "time"))
    var since: String?

    @Flag(help: "Print the lines as they were written: one JSON object each.")
    var json = false

    @Option(
        name: .customLong("data"), help: ArgumentHelp("The folder for compiled modules and data.", valueName: "dir"))
    var dataFolder = ".ferry"

    /// How long `-f` waits until it looks again.
    private static let pause = Duration.milliseconds(200)

    func validate() throws { _ = try filter() }

    func run() async throws {
        let filter = try filter()
        try await CommandFailure.reported {
            let folder = LogFolder.path(in: dataFolder)
            guard follow || !LogFolder.names(folder).isEmpty else {
                throw CommandFailure(
                    """
                    no host has logged into \(folder). Name its data folder with --data; with a Redis of its own a host \
                    logs there only when log.file is true
                    """)
            }
            guard follow else {
                Self.show(LogMerge(folder), filter, json: json)
                return
            }
            do {
                try await Interruption.stops { [json] in
                    let merge = LogMerge(folder)
                    while true {
                        Self.show(merge, filter, json: json)
                        try await Task.sleep(for: Self.pause)
                    }
                }
            } catch let code as ExitCode where code.rawValue == 130 {
                // Ctrl-C is how one leaves.
            }
        }
    }

    private static func show(_ merge: LogMerge, _ filter: LogFilter, json: Bool) {
        let output = Terminal.output
        merge.read { entry in
            guard filter.takes(entry) else { return }
            output.line(json ? entry.text : entry.line(output))
        }
    }

    private func filter() throws -> LogFilter {
        var filter = LogFilter(function: name, request: request)
        if let level {
            guard let known = Logger.Level(rawValue: level) else {
                let names = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
                throw ValidationError("--level must be one of \(names).")
            }
            filter.level = known
        }
        if let since {
            if let duration = ArgumentDuration(argument: since) {
                filter.since = Timestamp(milliseconds: Timestamp.now.milliseconds - duration.milliseconds).rfc3339
            } else if let time = Timestamp(rfc3339: since) {
                filter.since = time.rfc3339
            } else {
                throw ValidationError(
                    "--since must be of the form 30s, 10m, 1h or 7d, or a time such as 2026-01-31T12:00:00Z.")
            }
        }
        return filter
    }
}
