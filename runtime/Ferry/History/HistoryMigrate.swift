import ArgumentParser

/// `ferry history migrate`: makes the history's tables, or brings them up to date.
struct HistoryMigrate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "migrate",
        abstract: "Make the history's tables, or bring them up to date.",
        discussion: """
            Each step is a transaction of its own under a lock, so hosts that start meanwhile wait. Tables of a newer \
            version are refused. Prints what was done.
            """)

    @OptionGroup var options: HistoryOptions

    func run() async throws {
        try await CommandFailure.reported {
            let report = try await HistoryReport.migrate(options)
            try report.print(json: options.json)
        }
    }
}
