/// Where Redis is and how to talk to it.
public struct RedisConfiguration: Sendable {
    /// Certificate checks of a `rediss://` connection.
    public struct TLS: Sendable, Hashable {
        /// Whether the server's certificate and name are verified.
        public var verifiesCertificate: Bool
        /// A PEM file with the certificates to trust instead of the system's, or `nil`.
        public var trustRootsFile: String?

        /// Makes options; the default verifies against the system's roots.
        public init(verifiesCertificate: Bool = true, trustRootsFile: String? = nil) {
            self.verifiesCertificate = verifiesCertificate
            self.trustRootsFile = trustRootsFile
        }
    }

    enum Endpoint: Sendable, Hashable, CustomStringConvertible {
        case tcp(host: String, port: Int)
        case unix(path: String)

        var description: String {
            switch self {
            case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
            case .unix(let path): "unix:\(path)"
            }
        }
    }

    /// A password that cannot be printed by accident.
    struct Secret: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
        let value: String
        var description: String { "<redacted>" }
        var debugDescription: String { description }
        var customMirror: Mirror { Mirror(self, children: []) }
    }

    let endpoint: Endpoint
    private var secret: Secret?

    /// The user of `AUTH`, or `nil` for the default user.
    public var user: String?
    /// The password of `AUTH`, or `nil` for none.
    public var password: String? {
        get { secret?.value }
        set { secret = newValue.map(Secret.init(value:)) }
    }
    /// The database's number.
    public var database: Int
    /// Certificate checks; `nil` without TLS.
    public var tls: TLS?
    /// The time a command may take, from the call to the reply. Also the time between two checks that the pub/sub
    /// connection is alive.
    public var commandTimeout: Duration = .seconds(5)
    /// The time that connecting may take, TLS and `AUTH` included.
    public var connectTimeout: Duration = .seconds(5)
    /// The name of the connections in `CLIENT LIST`, without spaces, or `nil`.
    public var clientName: String?
    /// The size of a reply in bytes, 1 to 512 MiB, beyond which the connection is closed.
    public var maximumReplyBytes: Int = 32 << 20 {
        didSet { maximumReplyBytes = min(max(maximumReplyBytes, 1), 512 << 20) }
    }
    /// So many commands may wait on one connection; more fail with ``RedisError/Code/overloaded``.
    public var maximumQueuedCommandCount: Int = 10_000
    /// So many local subscriptions may exist; more fail with ``RedisError/Code/overloaded``.
    public var maximumSubscriptionCount: Int = 20_000
    /// So many messages wait for a slow reader of one subscription; the oldest are dropped beyond.
    public var subscriptionBufferCount: Int = 256
    /// A subscription that has been silent for so long, and for twice as long at most, or that has no connection, gets a
    /// ``FunctionKit/ChannelElement/gap``.
    public var subscriptionSilence: Duration = .seconds(60)

    /// Reads a URL: `redis://[user:password@]host[:port][/db]`, `rediss://…` for TLS, `unix:/path[?db=n]`.
    ///
    /// User, password and path may be percent-encoded. The port is 6379 by default.
    ///
    /// - Parameter url: The URL.
    /// - Throws: ``RedisError/Code/configuration`` that says what is wrong, without the password.
    public init(url: String) throws(RedisError) {
        let parts = try RedisURL(url)
        endpoint = parts.endpoint
        user = parts.user
        secret = parts.password.map(Secret.init(value:))
        database = parts.database
        tls = parts.isTLS ? TLS() : nil
    }
}

extension RedisConfiguration: CustomStringConvertible, CustomDebugStringConvertible {
    /// Where Redis is, without user and password.
    public var description: String {
        "\(tls == nil ? "" : "tls ")\(endpoint)\(database == 0 ? "" : " db \(database)")"
    }

    /// As ``description``.
    public var debugDescription: String { description }
}
