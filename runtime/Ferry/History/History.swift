import ArgumentParser

/// `ferry history`: the tables of the durable record.
struct History: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Look at the history's tables and bring them up to date.",
        discussion: """
            The history is the SQLite file of the data folder, or the PostgreSQL database that history.url, \
            FERRY_HISTORY_URL or DATABASE_URL names. A host brings its tables up to date when it starts; these commands \
            are for doing that beforehand, and for seeing where they are.

            Examples:
              ferry history status
              DATABASE_URL=postgresql://ferry@db/ferry ferry history migrate
            """,
        subcommands: [HistoryStatus.self, HistoryMigrate.self])
}

/// Where the history is; shared by all commands about it.
struct HistoryOptions: ParsableArguments {
    @Option(
        name: .customLong("config"),
        help: ArgumentHelp("The configuration; by default config.json, where there is one.", valueName: "file"))
    var configurationFile: String?

    @Option(
        name: .customLong("data"), help: ArgumentHelp("The folder for compiled modules and data.", valueName: "dir"))
    var dataFolder = ".ferry"

    @Flag(help: "Print a JSON object.")
    var json = false
}
