/// How the host finds out who calls.
public struct IdentityOptions: Sendable, Hashable {
    /// The ways.
    public enum Mode: String, Sendable, CaseIterable {
        /// Not at all: whoever calls may do everything. For development.
        case none
        /// A trusted proxy says so in a header field.
        case header
        /// A JSON Web Token in `Authorization`.
        case jwt
    }

    /// Where the keys of tokens come from.
    public enum Keys: Sendable, Hashable {
        /// A shared secret.
        case secret(Secret)
        /// A file with public keys as PEM.
        case publicKey(path: String)
        /// A JWK Set: a file's path, or a URL.
        case jwks(String)
    }

    /// The way.
    public var mode = Mode.none
    /// The field of a trusted proxy's.
    public var header = "x-user-id"
    /// The ids of users who may do everything.
    public var admins: Set<String> = []
    /// A shared secret for tokens.
    public var secret: Secret?
    /// A file with public keys as PEM.
    public var publicKey: String?
    /// A file or a URL of a JWK Set.
    public var jwks: String?
    /// The tokens' issuer.
    public var issuer: String?
    /// The tokens' audience.
    public var audience: String?
    /// By how much clocks may differ.
    public var leeway = Duration.seconds(30)
    /// The claim in which ``adminValue`` makes an admin; none when `nil`.
    public var adminClaim: String?
    /// What makes an admin in ``adminClaim``.
    public var adminValue = "admin"
    /// How often a JWK Set or a file of keys is read again.
    public var refresh = Duration.seconds(600)
    /// What tickets are signed with; the data folder's own when `nil`.
    public var ticketSecret: Secret?

    /// The defaults.
    public init() {}

    /// Where the keys of tokens come from; `nil` when none or several places are given.
    public var keys: Keys? {
        switch (secret, publicKey, jwks) {
        case (let secret?, nil, nil): .secret(secret)
        case (nil, let path?, nil): .publicKey(path: path)
        case (nil, nil, let place?): .jwks(place)
        default: nil
        }
    }
}
