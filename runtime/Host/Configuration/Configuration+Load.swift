extension Configuration {
    /// Every problem of a configuration.
    public struct Invalid: Error, Sendable, CustomStringConvertible {
        /// The problems: in the order of the file, then those of the environment, then those between keys.
        public let problems: [FileProblem]

        /// One problem a line.
        public var description: String { problems.map(\.description).joined(separator: "\n") }
    }

    /// Reads the defaults, a file and the environment, each over the one before. Blocks on the file system.
    ///
    /// - Parameters:
    ///   - file: The file, or `nil` for `config.json` in the working folder, which may be absent.
    ///   - environment: The environment's variables; see ``EnvironmentVariable/values()``.
    /// - Returns: The configuration.
    /// - Throws: ``Invalid`` with every problem. No problem shows a secret.
    public static func load(file: String?, environment: [String: String]) throws(Invalid) -> Configuration {
        var loader = ConfigurationLoader()
        loader.read(file: file)
        loader.read(environment: environment)
        loader.checkRules()
        guard loader.problems.isEmpty else { throw Invalid(problems: loader.problems) }
        return loader.configuration
    }

    /// Whether callers are held to budgets.
    public var hasLimits: Bool { limits.isEnabled ?? (identity.mode != .none) }

    /// The files of the server's certificate; `nil` for plain HTTP.
    public var tls: TLS? {
        guard let tlsCertificate, let tlsKey else { return nil }
        return TLS(certificate: tlsCertificate, key: tlsKey)
    }
}
