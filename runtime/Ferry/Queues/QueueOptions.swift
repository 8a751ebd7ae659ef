import ArgumentParser

/// Where the queues are; shared by all commands about queues.
struct QueueOptions: ParsableArguments {
    @Option(
        name: .customLong("config"),
        help: ArgumentHelp("The configuration; by default config.json, where there is one.", valueName: "file"))
    var configurationFile: String?

    @Option(
        name: .customLong("data"), help: ArgumentHelp("The folder for compiled modules and data.", valueName: "dir"))
    var dataFolder = ".ferry"

    @Option(help: "What the queues' keys begin with; by default queue.prefix of the configuration.")
    var prefix: String?

    func validate() throws {
        if let prefix, prefix.isEmpty { throw ValidationError("--prefix must not be empty.") }
    }
}

/// Which jobs a command is about: some by their ids, or all.
struct JobSelection: ParsableArguments {
    @Argument(help: ArgumentHelp("The jobs.", valueName: "id"))
    var ids: [String] = []

    @Flag(help: "All of them.")
    var all = false
}
