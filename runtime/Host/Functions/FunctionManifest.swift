/// What `function.json` says of a function, with every default filled in.
public struct FunctionManifest: Sendable, Hashable {
    /// What calls the function.
    public enum Trigger: Sendable, Hashable {
        /// Requests with this method and path; the path's segments may be parameters, as in `/v1/job/:jobId`.
        case http(method: String, path: String)
        /// Requests as ``http(method:path:)`` that bring a CloudEvent each.
        case cloudEvents(method: String, path: String)
        /// `GET` requests of this path, which are answered with events.
        case sse(path: String)
        /// `GET` requests of this path that ask for a socket.
        case webSocket(path: String)
        /// A queue: its jobs, or its events.
        case queue(name: String, on: QueueMoment)
        /// Times: five or six cron fields, read in a time zone of the IANA database.
        case schedule(pattern: String, timeZone: String)

        /// Whether requests with a body call the function, and their answers are whole.
        public var isRequest: Bool {
            switch self {
            case .http, .cloudEvents: true
            case .sse, .webSocket, .queue, .schedule: false
            }
        }

        /// The path of requests that call the function; `nil` where none do.
        public var path: String? {
            switch self {
            case .http(_, let path), .cloudEvents(_, let path), .sse(let path), .webSocket(let path): path
            case .queue, .schedule: nil
            }
        }
    }

    /// What of a queue calls the function.
    public enum QueueMoment: String, Sendable, Hashable, CaseIterable {
        /// Each job is worked.
        case process
        /// A worker reported progress.
        case progress
        /// A job succeeded; `complete` is an alias.
        case completed
        /// A job failed for good.
        case failed
    }

    /// Where the handler runs.
    public enum Executor: String, Sendable, Hashable, CaseIterable {
        /// On the host's pool of threads: a handler that blocks harms only its own function.
        case pool
        /// On the connection's event loop: fastest, for handlers that never block.
        case loop
    }

    /// Who may call a function.
    public enum Access: String, Sendable, Hashable, CaseIterable {
        /// Everybody.
        case anonymous
        /// Users who are known.
        case user
        /// Admins.
        case admin
    }

    /// How a socket's messages are compressed (RFC 7692) with clients that offer it.
    public enum Compression: String, Sendable, Hashable, CaseIterable {
        /// Not at all.
        case off
        /// Each message by itself: an idle socket holds no state.
        case message
        /// With what went before it as the dictionary, unless the client declines that: the smallest, at a cost in memory.
        case context
    }

    /// How jobs that Ferry adds to this queue, or ticks, are tried again; options on a job win.
    public struct Retry: Sendable, Hashable {
        /// The attempts in all.
        public var attempts: Int
        /// Whether the delay doubles each time.
        public var isExponential: Bool
        /// The first delay.
        public var delay: Duration
        /// The share of the delay that is random, 0 to 1.
        public var jitter: Double

        /// Makes a policy; the defaults are the manifest's.
        public init(
            attempts: Int = 3, isExponential: Bool = true, delay: Duration = .seconds(2), jitter: Double = 0
        ) {
            self.attempts = attempts
            self.isExponential = isExponential
            self.delay = delay
            self.jitter = jitter
        }
    }

    /// What calls the function.
    public var trigger: Trigger
    /// The Swift type of the handler, where the module has several.
    public var handler: String?
    /// How long one invocation may take; of an event stream or a socket, its longest life.
    public var timeout: Duration
    /// How many invocations run at once in this process.
    public var concurrency: Int
    /// How many more may wait before callers get 503.
    public var queueLimit: Int
    /// Where the handler runs.
    public var executor: Executor
    /// The largest body, in bytes; none for event streams and sockets.
    public var maxBodyBytes: Int
    /// The largest message of a socket's client, in bytes.
    public var maxMessageBytes: Int
    /// How a socket's messages are compressed.
    public var compression: Compression
    /// Who may call (`auth`); for requests, event streams and sockets.
    public var access: Access
    /// The names of the budgets that a call takes from, in the configuration's `limits.budgets`.
    public var rateLimit: [String]
    /// How jobs and ticks are tried again; for `process` and scheduled functions. Ticks are not unless the manifest says so.
    public var retry: Retry
    /// What the function does, for people.
    public var description: String?
    /// What requests bring and what is answered.
    public var interface: FunctionInterface

    /// Makes a manifest; whatever is not given has the documented default of its trigger.
    public init(
        trigger: Trigger, handler: String? = nil, timeout: Duration? = nil, concurrency: Int? = nil,
        queueLimit: Int? = nil, executor: Executor = .pool, maxBodyBytes: Int? = nil, maxMessageBytes: Int = 1 << 20,
        compression: Compression = .message, access: Access = .anonymous, rateLimit: [String] = [], retry: Retry? = nil,
        description: String? = nil, interface: FunctionInterface = FunctionInterface()
    ) {
        let isSchedule = if case .schedule = trigger { true } else { false }
        let isLasting: Bool
        let defaults: (timeout: Duration, concurrency: Int)
        switch trigger {
        case .http, .cloudEvents: (isLasting, defaults) = (false, (.seconds(135), 256))
        case .sse, .webSocket: (isLasting, defaults) = (true, (.seconds(3600), 10_000))
        case .queue: (isLasting, defaults) = (false, (.seconds(130), 4))
        case .schedule: (isLasting, defaults) = (false, (.seconds(130), 1))
        }
        self.trigger = trigger
        self.handler = handler
        self.timeout = timeout ?? defaults.timeout
        self.concurrency = concurrency ?? defaults.concurrency
        self.queueLimit = queueLimit ?? (isLasting ? 0 : self.concurrency * 4)
        self.executor = executor
        self.maxBodyBytes = maxBodyBytes ?? (isLasting ? 0 : 1 << 20)
        self.maxMessageBytes = maxMessageBytes
        self.compression = compression
        self.access = access
        self.rateLimit = rateLimit
        self.retry = retry ?? Retry(attempts: isSchedule ? 1 : 3)
        self.description = description
        self.interface = interface
    }
}
