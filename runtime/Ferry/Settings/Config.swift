import ArgumentParser

/// `ferry config`: what the configuration says, and what can be said in it.
struct Config: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show the configuration and its keys.",
        discussion: """
            The configuration is that of config.json, or of the file that --config names, with the environment's \
            variables over it. Secrets are not shown.
            """,
        subcommands: [ConfigShow.self, ConfigKeys.self], defaultSubcommand: ConfigShow.self)
}
