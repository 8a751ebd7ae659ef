public import FunctionKit

/// A command with its arguments.
public struct RedisCommand: Sendable {
    /// The two shapes of plain commands are kept apart so that an array of strings need not be converted.
    enum Form: Sendable {
        case strings([String])
        case arguments([RedisArgument])
        case script(StoreScript, keys: [String], arguments: [RedisArgument])
    }

    let form: Form

    /// Makes a command from its name and its arguments; there is at least the name.
    public init(_ arguments: [String]) {
        precondition(!arguments.isEmpty, "a Redis command has a name")
        form = .strings(arguments)
    }

    /// Makes a command from its name and its arguments; there is at least the name.
    public init(_ arguments: [RedisArgument]) {
        precondition(!arguments.isEmpty, "a Redis command has a name")
        form = .arguments(arguments)
    }

    private init(_ form: Form) { self.form = form }

    /// A command that runs a script: by its digest, or whole where the server does not know it.
    ///
    /// A connection sends a script whole the first time. When the server has forgotten one that it knew
    /// (`SCRIPT FLUSH`), it is sent whole after the reply that says so: inside a pipeline it then runs after the rest.
    ///
    /// - Parameters:
    ///   - script: The script.
    ///   - keys: KEYS.
    ///   - arguments: ARGV.
    /// - Returns: The command.
    public static func evaluate(
        _ script: StoreScript, keys: [String], arguments: [RedisArgument] = []
    ) -> RedisCommand {
        RedisCommand(.script(script, keys: keys, arguments: arguments))
    }
}
