import Host

/// What `ferry validate` checks of the configuration.
enum ConfigurationCheck {
    /// The problems of a configuration file and of the environment.
    ///
    /// - Parameter file: The file, or `nil` for `config.json`, which may be absent.
    /// - Returns: The problems, in the order of the file; where there are none, the warnings.
    static func problems(file: String?) -> [FileProblem] {
        do {
            return try Configuration.load(file: file, environment: EnvironmentVariable.values()).warnings
        } catch {
            return error.problems
        }
    }
}
