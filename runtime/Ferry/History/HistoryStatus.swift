import ArgumentParser
import JobHistory

/// `ferry history status`: where the history is and how far its tables are.
struct HistoryStatus: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show where the history is and how far its tables are.",
        discussion: "Changes nothing. The exit status is 1 unless the tables are as this program needs them.")

    @OptionGroup var options: HistoryOptions

    func run() async throws {
        try await CommandFailure.reported {
            let report = try await HistoryReport.status(options)
            try report.print(json: options.json)
            if !report.schema.isCurrent { throw ExitCode.failure }
        }
    }
}
