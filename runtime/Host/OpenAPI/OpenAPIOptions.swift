/// What the host tells of its interface.
public struct OpenAPIOptions: Sendable, Hashable {
    /// The version of Ferry.
    public static let ferryVersion = "0.1.0"

    /// Whether there are `/openapi.json` and `/docs`.
    public var isEnabled = true
    /// The interface's title.
    public var title = "Ferry"
    /// The interface's version.
    public var version = ferryVersion

    /// Makes the defaults.
    public init() {}
}
