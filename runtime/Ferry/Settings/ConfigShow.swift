import ArgumentParser
import FunctionKit
import Host
import NIOCore

/// `ferry config show`: each key's value and where it comes from.
struct ConfigShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show each key's value and where it comes from.",
        discussion: """
            "-" is a key without a value of its own; docs/configuration.md tells what holds then. Secrets are shown as \
            <redacted>. The exit status is 1 when something is wrong, which is then shown instead.

            Examples:
              ferry config show
              ferry config show --changed --config production.json
              FERRY_HTTP_MAX_CONNECTIONS=50000 ferry config show --json
            """)

    @Flag(help: "Print a JSON object.")
    var json = false

    @Flag(help: "Only the keys that are set.")
    var changed = false

    @Option(
        name: .customLong("config"),
        help: ArgumentHelp("The configuration; by default config.json, where there is one.", valueName: "file"))
    var configurationFile: String?

    func run() async throws {
        try await CommandFailure.reported {
            let configuration = try Configuration.load(
                file: configurationFile, environment: EnvironmentVariable.values())
            let keys = ConfigurationKey.all.filter { !changed || configuration.sources[$0.path] != nil }
            for warning in configuration.warnings { Terminal.errors.problem(warning) }
            guard !json else { return Terminal.output.line(Self.json(keys, of: configuration)) }
            Terminal.output.table(
                ["KEY", "VALUE", "FROM"],
                keys.map { key in
                    let source = configuration.sources[key.path]?.description ?? "default"
                    return [key.path, key.plainValue(in: configuration), Terminal.plain(source)]
                }, colours: keys.map { configuration.sources[$0.path] == nil ? nil : .green })
        }
    }

    private static func json(_ keys: [ConfigurationKey], of configuration: Configuration) -> String {
        var writer = JSONWriter(capacity: 16 << 10)
        writer.object { writer in
            for key in keys {
                writer.key(escaping: key.path)
                writer.object { writer in
                    writer.key("value")
                    writer.raw(key.value(in: configuration)?.text() ?? "null")
                    writer.key("from")
                    writer.value(configuration.sources[key.path]?.description ?? "default")
                }
            }
        }
        return String(buffer: writer.buffer)
    }
}

extension ConfigurationKey {
    /// The value on one line, without the quotes of a text, cut where it is long; `-` where there is none.
    func plainValue(in configuration: Configuration) -> String {
        guard let value = value(in: configuration) else { return "-" }
        return Terminal.plain(value.string ?? value.text(), limit: 60)
    }
}
