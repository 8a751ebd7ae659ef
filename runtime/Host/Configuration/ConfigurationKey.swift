/// A key of the configuration: all that is known of it, for the file, the environment, lists and reloading.
public struct ConfigurationKey: Sendable {
    /// How a value is written.
    public enum Kind: String, Sendable {
        /// A whole number.
        case integer
        /// A count of bytes: a whole number, or a text such as `64KiB`.
        case size
        /// A text such as `500ms`, `30s`, `10m` or `1h`.
        case duration
        /// `true` or `false`.
        case boolean
        /// A text.
        case text
        /// One of a few texts.
        case choice
        /// An array of texts.
        case list
        /// An object.
        case object
        /// A text that is never shown, or `{"file": PATH}`, the file that holds it.
        case secret
    }

    /// What a new value means to a process that runs.
    enum Effect {
        /// Read whenever it is needed.
        case direct
        /// Handed to functions and triggers when they are set up.
        case functions
        /// Holds after a restart.
        case restart
    }

    /// Where it stands in the file, such as `http.maxConnections`.
    public let path: String
    /// How its value is written.
    public let kind: Kind
    /// What may stand there, such as `1…256`, where that can be said shortly.
    public let bounds: String?
    /// The variables of the environment that override it; the last one wins. The last is made of the path:
    /// `FERRY_HTTP_MAX_CONNECTIONS`.
    public let variables: [String]

    let effect: Effect
    let take: @Sendable (PositionedJSON, inout StrictReader, inout Configuration) -> Void
    let shown: @Sendable (Configuration) -> PositionedJSON.Value?
    let differs: @Sendable (Configuration, Configuration) -> Bool
    let copy: @Sendable (Configuration, inout Configuration) -> Void

    init<Value: Equatable & Sendable>(
        _ path: String, _ form: ConfigurationForm<Value>,
        _ target: any WritableKeyPath<Configuration, Value> & Sendable, _ effect: Effect = .restart,
        variables: [String] = []
    ) {
        self.path = path
        self.effect = effect
        kind = form.kind
        bounds = form.bounds
        self.variables = variables + [ConfigurationKey.variable(of: path)]
        let (section, name) = ConfigurationKey.split(path)
        let (read, show) = (form.read, form.show)
        take = { json, reader, configuration in
            let member = PositionedJSON.Member(key: name, keyPosition: json.position, value: json)
            let object = StrictReader.Object(
                path: section, json: PositionedJSON(position: json.position, value: .object([member])))
            if let value = read(object, name, configuration[keyPath: target], &reader) {
                configuration[keyPath: target] = value
            }
        }
        shown = { show($0[keyPath: target]) }
        differs = { $0[keyPath: target] != $1[keyPath: target] }
        copy = { $1[keyPath: target] = $0[keyPath: target] }
    }

    /// A key that may be absent.
    init<Value: Equatable & Sendable>(
        _ path: String, _ form: ConfigurationForm<Value>,
        _ target: any WritableKeyPath<Configuration, Value?> & Sendable, _ effect: Effect = .restart,
        variables: [String] = []
    ) {
        self.init(path, form.optional, target, effect, variables: variables)
    }

    /// The value that a configuration has, as the file would have it; `nil` where nothing is set. A secret is redacted.
    public func value(in configuration: Configuration) -> PositionedJSON? {
        shown(configuration).map { PositionedJSON($0) }
    }

    /// The variables that name a file with the value; for secrets alone.
    public var fileVariables: [String] { kind == .secret ? variables.map { $0 + "_FILE" } : [] }

    /// `http.maxConnections` is `FERRY_HTTP_MAX_CONNECTIONS`, `storage.accessKeyID` is `FERRY_STORAGE_ACCESS_KEY_ID`.
    static func variable(of path: String) -> String {
        var name = "FERRY_"
        var previous: Character = "."
        for character in path {
            if character.isUppercase, previous.isLowercase || previous.isNumber { name += "_" }
            name += character == "." ? "_" : character.uppercased()
            previous = character
        }
        return name
    }

    private static func split(_ path: String) -> (section: String, name: String) {
        guard let dot = path.lastIndex(of: ".") else { return ("", path) }
        return (String(path[..<dot]), String(path[path.index(after: dot)...]))
    }
}

extension ConfigurationKey {
    /// Every key, in the order of docs/configuration.md.
    public static let all: [ConfigurationKey] =
        http + stores + host + identities + logs + downloads + callbacks + openAPI

    static let byPath = Dictionary(uniqueKeysWithValues: all.map { ($0.path, $0) })

    /// The names that may stand in each section; the root is the empty text.
    static let sections: [String: [String]] = all.reduce(into: [:]) { sections, key in
        var path = key.path
        while !path.isEmpty {
            let (section, name) = split(path)
            if sections[section]?.contains(name) != true { sections[section, default: []].append(name) }
            path = section
        }
    }
}
