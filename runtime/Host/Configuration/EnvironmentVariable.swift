internal import Glibc

/// The variables of the environment that override keys of the configuration.
///
/// Each key has one that is made of its path, `FERRY_HTTP_MAX_CONNECTIONS`, and some have a common one besides. A variable
/// that begins with `FERRY_` and is none of these is refused where it is close to one or names a section, so that a misspelt
/// name does not pass in silence; any other, which may be somebody else's, gets a warning.
public enum EnvironmentVariable {
    /// The port that platforms ask to listen on, of all interfaces.
    static let port = "PORT"

    private static let prefix = "FERRY_"
    /// Not of the configuration: the tool's own, a function's process's, and those of Ferry's tests.
    private static let others: Set = [
        "FERRY_SDK", "FERRY_TOKEN", "FERRY_WORKER_ID", "FERRY_PYTHON", "FERRY_SEED", "FERRY_SOAK",
    ]
    private static let testPrefix = "FERRY_TEST_"
    /// What the common names begin with; a near miss of one is worth a word.
    private static let commonPrefixes = ["S3_", "REDIS_", "DATABASE_"]

    private static let sections = Set(
        ConfigurationKey.all.map { ConfigurationKey.variable(of: "\($0.path.prefix { $0 != "." })") + "_" })

    static let known: Set<String> = Set(ConfigurationKey.all.flatMap { $0.variables + $0.fileVariables })

    /// What this process's environment says that may concern the configuration. Variables that are empty count as not set.
    public static func values() -> [String: String] {
        var values: [String: String] = [:]
        var next = environ
        while let variable = next.pointee {
            next += 1
            guard variable.pointee != 0, let mark = strchr(variable, CInt(UInt8(ascii: "="))), mark[1] != 0 else {
                continue
            }
            let text = String(cString: variable)
            let name = String(text.prefix { $0 != "=" })
            guard known.contains(name) || ([prefix] + commonPrefixes).contains(where: name.hasPrefix) else { continue }
            values[name] = String(cString: mark + 1)
        }
        return values
    }

    /// What is wrong with the name of a variable that is none of the configuration's; `nil` when it is somebody else's.
    static func problem(ofUnknown name: String) -> FileProblem? {
        let place = "environment variable \(name)"
        if name.hasPrefix(prefix) {
            guard !others.contains(name), !name.hasPrefix(testPrefix) else { return nil }
            let near = Suggestion.nearest(to: name, in: known)
            let advice = near.map { "did you mean \($0)?" } ?? "\"ferry config keys\" lists those that are"
            let isMeant = near != nil || sections.contains(where: name.hasPrefix)
            return FileProblem(file: place, reason: "\(isMeant ? "" : "warning: ")is not known; \(advice)")
        }
        guard commonPrefixes.contains(where: name.hasPrefix), let near = Suggestion.nearest(to: name, in: known),
            !near.hasPrefix(prefix)
        else { return nil }
        return FileProblem(file: place, reason: "warning: is not known; did you mean \(near)?")
    }

    /// Whether Kubernetes has made the variable of a service, whose name may begin with `ferry`: `FERRY_SERVICE_HOST`,
    /// `FERRY_PORT=tcp://…`, `FERRY_PORT_80_TCP_ADDR`, …
    static func isServiceLink(_ name: String, _ value: String) -> Bool {
        guard name.hasPrefix(prefix) else { return false }
        if name.hasSuffix("_SERVICE_HOST") || name.contains("_SERVICE_PORT") { return true }
        let words = name.split(separator: "_")
        let protocols = ["TCP", "UDP", "SCTP"]
        if words.last == "PORT", protocols.contains(where: { value.hasPrefix("\($0.lowercased())://") }) { return true }
        return words.indices.contains { index in
            words[index] == "PORT" && index + 2 < words.count && UInt16(words[index + 1]) != nil
                && protocols.contains(String(words[index + 2]))
        }
    }

    /// A variable's text as the file would have it.
    ///
    /// - Throws: `PositionedJSON.SyntaxError` for an array or object that is none.
    static func json(
        _ text: String, of name: String, _ kind: ConfigurationKey.Kind
    ) throws(PositionedJSON.SyntaxError) -> PositionedJSON {
        if name == port {
            // Platforms that set it reach the process from outside, so these are all interfaces.
            let addresses = UInt16(text).map { ["0.0.0.0:\($0)", "[::]:\($0)"] } ?? [text]
            return PositionedJSON(.array(addresses.map { PositionedJSON(.string($0)) }))
        }
        switch kind {
        case .integer, .size: return PositionedJSON(Int(text) == nil ? .string(text) : .number(text))
        case .boolean: return PositionedJSON(["true", "false"].contains(text) ? .bool(text == "true") : .string(text))
        case .duration, .text, .choice, .secret: return PositionedJSON(.string(text))
        case .object: return try PositionedJSON.parse(Array(text.utf8))
        case .list:
            // An array of JSON, or texts between commas; an address may begin with a bracket too.
            let second = text.dropFirst().first { $0 != " " }
            if text.hasPrefix("["), text.hasSuffix("]") || second == "\"" {
                return try PositionedJSON.parse(Array(text.utf8))
            }
            let texts = text.split(separator: ",").map { $0.drop { $0 == " " } }.map { part in
                String(part.reversed().drop { $0 == " " }.reversed())
            }
            return PositionedJSON(.array(texts.map { PositionedJSON(.string($0)) }))
        }
    }
}
