/// Reads file and environment into a configuration, and keeps every problem instead of stopping at the first.
struct ConfigurationLoader {
    private(set) var configuration = Configuration()
    private(set) var problems: [FileProblem] = []
    /// The keys of which a problem is known.
    private var troubled: Set<String> = []

    /// Reads the file, or `config.json`, which may be absent. Blocks on the file system.
    mutating func read(file: String?) {
        let path = file ?? "config.json"
        if file == nil, !FileSystem.isFile(path) { return }
        do {
            let json = try PositionedJSON.parse(try FileSystem.read(path, mayBePipe: true))
            var reader = StrictReader()
            read(json, section: "", in: path, with: &reader)
            problems += FileProblem.problems(of: reader, in: path)
        } catch let error as PositionedJSON.SyntaxError {
            problems.append(FileProblem(error, in: path))
        } catch {
            problems.append(FileProblem(file: path, reason: "cannot be read: \(error)"))
        }
        let secrets = ConfigurationKey.all.map(\.path).filter { path in
            ConfigurationKey.byPath[path]?.kind == .secret && configuration.sources[path]?.secretFile == nil
                && configuration.sources[path] != nil
        }
        if !secrets.isEmpty, FileSystem.isPublic(path) {
            warn(path, "holds secrets (\(secrets.joined(separator: ", "))), and every user of this machine may read it")
        }
    }

    private mutating func read(
        _ json: PositionedJSON, section: String, in file: String, with reader: inout StrictReader
    ) {
        let names = ConfigurationKey.sections[section] ?? []
        guard let object = reader.object(json, path: section, keys: names) else { return }
        for member in object.json.members ?? [] {
            let path = object.path(of: member.key)
            if let key = ConfigurationKey.byPath[path] {
                let source = ConfigurationSource(place: file, position: member.keyPosition)
                take(key, member.value, from: source, with: &reader)
            } else if ConfigurationKey.sections[path] != nil {
                read(member.value, section: path, in: file, with: &reader)
            }
        }
    }

    /// Reads the environment's variables over what was read before. Blocks on the file system where one names a file.
    mutating func read(environment: [String: String]) {
        let values = environment.filter { name, value in
            !value.isEmpty && !EnvironmentVariable.isServiceLink(name, value)
        }
        for key in ConfigurationKey.all {
            for name in key.variables { read(name, of: key, values) }
        }
        for name in values.keys.sorted() where !EnvironmentVariable.known.contains(name) {
            guard let problem = EnvironmentVariable.problem(ofUnknown: name) else { continue }
            if problem.isWarning { configuration.warnings.append(problem) } else { problems.append(problem) }
        }
    }

    private mutating func read(_ name: String, of key: ConfigurationKey, _ values: [String: String]) {
        let fileName = name + "_FILE"
        let file = key.kind == .secret ? values[fileName] : nil
        let text = values[name]
        guard text == nil || file == nil else {
            note(key, "environment variable \(name)", "\(fileName) is set too; only one of them may be")
            return
        }
        guard let text = text ?? file else { return }
        let place = "environment variable \(file == nil ? name : fileName)"
        var reader = StrictReader()
        do {
            let json =
                file == nil
                ? try EnvironmentVariable.json(text, of: name, key.kind)
                : PositionedJSON(object: [("file", .string(text))])
            take(key, json, from: ConfigurationSource(place: place, position: nil), with: &reader)
        } catch {
            note(key, place, "\(key.path) is not JSON: \(error.reason)")
        }
        for problem in reader.problems {
            let isPort = name == EnvironmentVariable.port
            note(key, place, isPort ? "must be a port number, not \"\(text.prefix(64))\"" : problem.reason)
        }
    }

    /// Says what does not hold between keys.
    mutating func checkRules() {
        for rule in ConfigurationRule.all where troubled.isDisjoint(with: rule.keys) {
            guard let reason = rule.problem(configuration) else { continue }
            let source = rule.keys.first { configuration.sources[$0] != nil }.flatMap { configuration.sources[$0] }
            problems.append(source?.problem(reason) ?? FileProblem(file: "configuration", reason: reason))
        }
    }

    private mutating func take(
        _ key: ConfigurationKey, _ json: PositionedJSON, from source: ConfigurationSource,
        with reader: inout StrictReader
    ) {
        let count = reader.problems.count
        var (json, source) = (json, source)
        if key.kind == .secret, json.members != nil {
            if let text = contents(key, json, &source, &reader) {
                json = PositionedJSON(position: json.position, value: .string(text))
            }
        }
        if reader.problems.count == count { key.take(json, &reader, &configuration) }
        if reader.problems.count == count {
            configuration.sources[key.path] = source
        } else {
            troubled.insert(key.path)
        }
    }

    /// The secret in the file that `{"file": PATH}` names.
    private mutating func contents(
        _ key: ConfigurationKey, _ json: PositionedJSON, _ source: inout ConfigurationSource,
        _ reader: inout StrictReader
    ) -> String? {
        guard let object = reader.object(json, path: key.path, keys: ["file"]) else { return nil }
        guard json["file"] != nil else {
            reader.report(json, key.path, "must be a string or {\"file\": PATH}")
            return nil
        }
        guard let path = reader.string(object, "file") else { return nil }
        source.secretFile = path
        do {
            let secret = try MountedSecret(path)
            if secret.isPublic {
                warn(path, "holds the secret \(key.path), and every user of this machine may read it")
            }
            return secret.text
        } catch {
            reader.report(json, key.path, "cannot be read: \(error)")
            return nil
        }
    }

    private mutating func note(_ key: ConfigurationKey, _ place: String, _ reason: String) {
        problems.append(FileProblem(file: place, reason: reason))
        troubled.insert(key.path)
    }

    private mutating func warn(_ file: String, _ reason: String) {
        configuration.warnings.append(FileProblem(file: file, reason: "warning: \(reason)"))
    }
}
