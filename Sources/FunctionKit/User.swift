/// Who calls: what the host has found out about a request's sender.
public struct User: Sendable, Hashable {
    /// The id, unique and stable: a token's `sub`, or what a trusted proxy says. 1 to 256 bytes, no control characters.
    public let id: String
    /// Whether the user may see and do everything.
    public let isAdmin: Bool
    /// When the host stops believing it: the end of the token, with the leeway for clocks; `nil` when it has none.
    public let expiresAt: Timestamp?

    /// Makes a user; the host does so, tests may.
    public init(id: String, isAdmin: Bool = false, expiresAt: Timestamp? = nil) {
        self.id = id
        self.isAdmin = isAdmin
        self.expiresAt = expiresAt
    }

    /// The host itself, whoever calls a process without identities, and the admin listener's callers.
    ///
    /// It may do everything and owns nothing.
    public static let local = User(id: "local", isAdmin: true)
}
