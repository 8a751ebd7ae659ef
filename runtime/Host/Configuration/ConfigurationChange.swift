/// What a configuration that was read again changes in a process that runs.
public struct ConfigurationChange: Sendable {
    /// The configuration that holds from now on: the new one, but for what needs a restart.
    public private(set) var configuration: Configuration
    /// The keys whose new values hold from now on.
    public private(set) var applied: [String] = []
    /// The keys whose new values hold after a restart.
    public private(set) var needingRestart: [String] = []
    /// Whether functions must be called in another way, by new runners and triggers.
    public private(set) var concernsFunctions = false

    /// Compares.
    ///
    /// - Parameters:
    ///   - old: The configuration that holds.
    ///   - new: The one that was read.
    public init(from old: Configuration, to new: Configuration) {
        configuration = new
        for key in ConfigurationKey.all where key.differs(old, new) {
            switch key.effect {
            case .direct: applied.append(key.path)
            case .functions:
                applied.append(key.path)
                concernsFunctions = true
            case .restart:
                needingRestart.append(key.path)
                key.copy(old, &configuration)
            }
        }
    }
}
