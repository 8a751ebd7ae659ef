public import Downloads
public import Logging
public import Webhooks

/// The whole configuration, typed and checked: the defaults, then `config.json`, then the environment.
public struct Configuration: Sendable {
    /// Redis.
    public struct Redis: Sendable, Hashable {
        /// `redis://`, `rediss://` or `unix:`; `nil` for the private server of the data folder.
        public var url: Secret?
        /// The time a command may take.
        public var commandTimeout = Duration.seconds(5)
        /// The redis-server to run privately; found on the PATH when `nil`.
        public var server: String?
    }

    /// The S3-compatible store.
    public struct Storage: Sendable, Hashable {
        /// How a bucket is named in a URL.
        public enum Addressing: String, Sendable, CaseIterable {
            /// `https://host/bucket/key`.
            case path
            /// `https://bucket.host/key`.
            case virtualHost
        }

        /// The endpoint's URL; `nil` for the local endpoint of the data folder.
        public var endpoint: String?
        /// The endpoint's URL in presigned URLs where clients reach it by another name.
        public var publicEndpoint: String?
        /// The region.
        public var region = "us-east-1"
        /// The bucket.
        public var bucket = "ferry"
        /// How the bucket is named in URLs.
        public var addressing = Addressing.path
        /// The access key; the environment's or the credentials file's when `nil`.
        public var accessKeyID: String?
        /// The secret key.
        public var secretAccessKey: Secret?
        /// The session token of temporary credentials.
        public var sessionToken: Secret?
        /// The time one operation may take.
        public var timeout = Duration.seconds(30)
        /// The tries of one operation.
        public var attempts = 3
        /// The pause before the second try; it doubles from there.
        public var retryDelay = Duration.seconds(1)
        /// The longest pause between two tries.
        public var retryMaxDelay = Duration.seconds(30)
        /// The port of the local endpoint; 0 lets the system choose, and presigned URLs then end with the process.
        public var port = 9000
    }

    /// The durable history.
    public struct History: Sendable, Hashable {
        /// The SQLite file; `history.sqlite` in the data folder when `nil`. Without effect beside ``url``.
        public var path: String?
        /// `postgresql://`, a PostgreSQL database instead of the file.
        public var url: Secret?
        /// How many connections to the database there are at most.
        public var connectionCount = 4
        /// The time a call may take.
        public var timeout = Duration.seconds(10)
    }

    /// The queues.
    public struct Queue: Sendable, Hashable {
        /// What the keys begin with.
        public var prefix = "bull"
        /// How long a lock holds without renewal.
        public var lockDuration = Duration.seconds(8)
        /// How often each worker checks for jobs whose worker is lost.
        public var stalledCheck = Duration.seconds(3)
        /// The shortest time between two such checks of all workers.
        public var stalledGate = Duration.milliseconds(2500)
        /// How often a job's worker may be lost before the job fails.
        public var maxStalledCount = 1
        /// How many jobs of one user a queue has running at once in all processes; 0 for any number.
        public var maxRunningPerUser = 4
        /// How often each process makes sure that its schedules are there.
        public var scheduleCheck = Duration.seconds(30)
    }

    /// What is logged.
    public struct Log: Sendable, Hashable {
        /// How a line looks.
        public enum Format: String, Sendable, CaseIterable {
            /// For people.
            case text
            /// One JSON object a line.
            case json
        }

        /// The least level that is logged.
        public var level = Logger.Level.info
        /// How a line looks.
        public var format = Format.text
        /// Whether the lines are kept in the data folder too; where Redis is the embedded one when `nil`.
        public var file: Bool?
        /// How much of them is kept, in bytes.
        public var keptBytes = 16 << 20

        /// Makes the settings of a command that has no configuration.
        public init(level: Logger.Level = .info, format: Format = .text) {
            self.level = level
            self.format = format
        }
    }

    /// The receivers of callbacks.
    public struct Callbacks: Sendable, Hashable {
        /// What callbacks are signed with; the data folder's file when `nil`.
        public var secret: Secret?
        /// Networks that are called although they are not public, as they were written.
        public var allow: [AddressNetwork] = []
        /// Whether `http://` is called too.
        public var allowsHTTP = false
        /// How callbacks are delivered.
        public var delivery = CallbacksConfiguration()
    }

    /// The admin listener.
    public struct Admin: Sendable, Hashable {
        /// Where it listens.
        public enum Listen: Sendable, Hashable {
            /// On the data folder's socket when Redis is the embedded one, else not at all.
            case automatic
            /// Not at all.
            case off
            /// Here: a loopback address or a Unix socket.
            case address(ListenAddress)
        }

        /// Where it listens.
        public var listen = Listen.automatic
        /// What callers must know; the data folder's when `nil`.
        public var token: Secret?
    }

    /// The files of the server's certificate.
    public struct TLS: Sendable, Hashable {
        /// The chain's path.
        public let certificate: String
        /// The private key's path.
        public let key: String
    }

    /// The admin listener.
    public var admin = Admin()
    /// How the host finds out who calls.
    public var identity = IdentityOptions()
    /// How much callers may do.
    public var limits = LimitsOptions()
    /// What the host tells of its interface.
    public var openAPI = OpenAPIOptions()
    /// The file of the server's certificate, with what it was issued by behind it.
    public var tlsCertificate: String?
    /// The file of the certificate's private key.
    public var tlsKey: String?
    /// The HTTP server.
    public var http = HTTPServerOptions()
    /// The event loops; as many as the machine has cores when `nil`.
    public var loopCount: Int?
    /// Redis.
    public var redis = Redis()
    /// The S3-compatible store.
    public var storage = Storage()
    /// The durable history.
    public var history = History()
    /// The queues.
    public var queue = Queue()
    /// What is logged.
    public var log = Log()
    /// What is recorded.
    public var record = Record()
    /// The download functions.
    public var downloads = DownloadsConfiguration()
    /// The receivers of callbacks.
    public var callbacks = Callbacks()
    /// Functions in processes of their own.
    public var isolation = Isolation()
    /// Where each key that is set comes from, by its path; the others have their defaults.
    public internal(set) var sources: [String: ConfigurationSource] = [:]
    /// What does not hinder the start and should be mended; the reasons begin with `warning: `.
    public internal(set) var warnings: [FileProblem] = []

    /// The defaults.
    public init() {}
}

/// A text that does not print itself.
public struct Secret: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The text.
    public let value: String

    /// Wraps a text.
    public init(_ value: String) { self.value = value }

    /// `<redacted>`.
    public var description: String { "<redacted>" }

    /// `<redacted>`.
    public var debugDescription: String { "<redacted>" }

    /// Nothing.
    public var customMirror: Mirror { Mirror(self, children: []) }
}
