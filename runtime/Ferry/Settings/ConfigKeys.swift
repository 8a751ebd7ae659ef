import ArgumentParser
import FunctionKit
import Host
import NIOCore

/// `ferry config keys`: what can be configured.
struct ConfigKeys: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keys", abstract: "List all keys with type, default, bounds and variables.",
        discussion: """
            Of several variables the last one wins. A secret's variable has a second one, with _FILE at its end, that \
            names a file with the secret.

            Examples:
              ferry config keys
              ferry config keys --json | jq -r '.[].path'
            """)

    @Flag(help: "Print a JSON array.")
    var json = false

    func run() async throws {
        let defaults = Configuration()
        let keys = ConfigurationKey.all
        guard !json else { return Terminal.output.line(Self.json(keys, defaults)) }
        Terminal.output.table(
            ["KEY", "TYPE", "DEFAULT", "BOUNDS", "VARIABLES"],
            keys.map { key in
                [
                    key.path, key.kind.rawValue, key.plainValue(in: defaults), key.bounds ?? "-",
                    key.variables.joined(separator: ", "),
                ]
            }, colours: keys.map { _ in nil })
    }

    private static func json(_ keys: [ConfigurationKey], _ defaults: Configuration) -> String {
        var writer = JSONWriter(capacity: 32 << 10)
        writer.array { writer in
            for key in keys {
                writer.object { writer in
                    writer.key("path")
                    writer.value(key.path)
                    writer.key("type")
                    writer.value(key.kind.rawValue)
                    writer.key("default")
                    writer.raw(key.value(in: defaults)?.text() ?? "null")
                    writer.key("bounds")
                    writer.value(key.bounds)
                    writer.key("variables")
                    writer.array { writer in
                        for name in key.variables + key.fileVariables { writer.value(name) }
                    }
                }
            }
        }
        return String(buffer: writer.buffer)
    }
}
