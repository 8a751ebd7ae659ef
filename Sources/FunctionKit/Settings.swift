/// A section of the configuration that belongs to a domain library, such as `downloads`.
public protocol SettingsSection: Sendable {
    /// The defaults.
    init()
}

/// The domain sections of the configuration, decoded and checked at start.
public struct Settings: Sendable {
    private var sections: [ObjectIdentifier: any SettingsSection] = [:]

    /// Makes settings without any section: every one has its defaults.
    public init() {}

    /// The section of that type, or its defaults.
    public subscript<Value: SettingsSection>(_ type: Value.Type) -> Value {
        get { sections[ObjectIdentifier(type)] as? Value ?? Value() }
        set { sections[ObjectIdentifier(type)] = newValue }
    }
}
