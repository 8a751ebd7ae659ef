/// How a key's value is written: what may stand there, and how it is shown.
struct ConfigurationForm<Value: Equatable & Sendable>: Sendable {
    /// Takes the value of a key of an object and notes what does not fit. The third is the value so far.
    typealias Read = @Sendable (StrictReader.Object, String, Value?, inout StrictReader) -> Value?
    /// Gives the value as the file would have it; `nil` for one that is not there.
    typealias Show = @Sendable (Value) -> PositionedJSON.Value?

    let kind: ConfigurationKey.Kind
    /// What may stand there, for lists of keys, such as `1…256`.
    let bounds: String?
    let show: Show
    let read: Read

    init(_ kind: ConfigurationKey.Kind, _ bounds: String? = nil, show: @escaping Show, read: @escaping Read) {
        self.kind = kind
        self.bounds = bounds
        self.show = show
        self.read = read
    }

    /// For a key that may be absent.
    var optional: ConfigurationForm<Value?> {
        let (read, show) = (read, show)
        return ConfigurationForm<Value?>(
            kind, bounds, show: { $0.flatMap(show) },
            read: { object, name, old, reader in read(object, name, old ?? nil, &reader).map { .some($0) } })
    }
}

extension ConfigurationForm where Value == Int {
    static func integer(_ range: ClosedRange<Int>) -> Self {
        Self(
            .integer, "\(range.lowerBound)…\(range.upperBound)", show: { .number("\($0)") },
            read: { object, name, _, reader in
                reader.integer(object, name, in: range)
            })
    }

    static func size(_ range: ClosedRange<Int>) -> Self {
        let bounds = "\(UnitText.text(byteCount: range.lowerBound))…\(UnitText.text(byteCount: range.upperBound))"
        return Self(
            .size, bounds, show: { .string(UnitText.text(byteCount: $0)) },
            read: { object, name, _, reader in
                reader.byteCount(object, name, in: range)
            })
    }
}

extension ConfigurationForm where Value == Duration {
    static func duration(_ range: ClosedRange<Duration>) -> Self {
        let bounds = "\(UnitText.text(range.lowerBound))…\(UnitText.text(range.upperBound))"
        return Self(
            .duration, bounds, show: { .string(UnitText.text($0)) },
            read: { object, name, _, reader in
                reader.duration(object, name, in: range)
            })
    }
}

extension ConfigurationForm where Value == Bool {
    static var boolean: Self {
        Self(.boolean, show: { .bool($0) }, read: { object, name, _, reader in reader.bool(object, name) })
    }
}

extension ConfigurationForm where Value: CaseIterable & RawRepresentable & SendableMetatype, Value.RawValue == String {
    static var choice: Self {
        let names = Value.allCases.map(\.rawValue).joined(separator: ", ")
        return Self(
            .choice, names, show: { .string($0.rawValue) },
            read: { object, name, _, reader in
                reader.choice(object, name)
            })
    }
}

extension ConfigurationForm where Value == String {
    /// A text for which `fits` gives how it is kept. A wrong one is not shown where it could hold a password in spite of all.
    static func text(
        _ expected: String = "a string that is not empty", showsGiven: Bool = true,
        fits: @escaping @Sendable (String) -> String? = { $0.isEmpty ? nil : $0 }
    ) -> Self {
        Self(
            .text, show: { .string($0) },
            read: { object, name, _, reader in
                reader.value(object, name, expected, showsGiven: showsGiven) { $0.string.flatMap(fits) }
            })
    }

    /// The scheme, host and port of a store.
    static var endpoint: Self {
        text("a URL such as https://store.example:9000, without user, path and query", showsGiven: false) { text in
            HostAddress(text).flatMap { $0.prefix.isEmpty ? text : nil }
        }
    }
}

extension ConfigurationForm where Value == [String] {
    static func texts(_ expected: String, fits: @escaping @Sendable (String) -> Bool) -> Self {
        Self(
            .list, show: { .array($0.map { PositionedJSON(.string($0)) }) },
            read: { object, name, _, reader in
                reader.value(object, name, expected) { json in
                    let texts = json.elements?.map { $0.string ?? "" }
                    return texts?.allSatisfy(fits) == true ? texts : nil
                }
            })
    }
}

extension ConfigurationForm where Value == Secret {
    /// A text that no message shows; `problem` says what is wrong with it.
    static func secret(problem: @escaping @Sendable (String) -> String?) -> Self {
        Self(
            .secret, show: { _ in .string("<redacted>") },
            read: { object, name, _, reader in
                guard let text = reader.value(object, name, "a string", showsGiven: false, { $0.string }) else {
                    return nil
                }
                guard let problem = problem(text) else { return Secret(text) }
                reader.report(object.json[name] ?? object.json, object.path(of: name), problem)
                return nil
            })
    }

    static func secret(leastBytes: Int) -> Self {
        secret { $0.utf8.count < leastBytes ? "must have at least \(leastBytes) bytes" : nil }
    }
}
