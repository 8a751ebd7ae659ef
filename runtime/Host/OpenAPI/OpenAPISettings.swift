/// What a document of the interface is made by, besides the functions.
public struct OpenAPISettings: Sendable {
    /// Title and version.
    var options: OpenAPIOptions
    /// How callers are known.
    var mode: IdentityOptions.Mode
    /// The header field of a trusted proxy's, for the mode `header`.
    var header: String
    /// Whether callers are held to budgets.
    var hasLimits: Bool
    /// Whether functions run in processes of their own.
    var isIsolated: Bool
    /// Whether there are `/health` and its like.
    var hasHealth = true

    /// Takes what a configuration says; `nil` where it switches the documents off.
    ///
    /// - Parameters:
    ///   - configuration: The configuration.
    ///   - isIsolated: Whether functions run in processes of their own.
    public init?(_ configuration: Configuration, isIsolated: Bool = false) {
        guard configuration.openAPI.isEnabled else { return nil }
        self.init(
            options: configuration.openAPI, mode: configuration.identity.mode, header: configuration.identity.header,
            hasLimits: configuration.hasLimits, isIsolated: isIsolated)
    }

    init(
        options: OpenAPIOptions = OpenAPIOptions(), mode: IdentityOptions.Mode = .none, header: String = "x-user-id",
        hasLimits: Bool = false, isIsolated: Bool = false
    ) {
        self.options = options
        self.mode = mode
        self.header = header
        self.hasLimits = hasLimits
        self.isIsolated = isIsolated
    }
}
