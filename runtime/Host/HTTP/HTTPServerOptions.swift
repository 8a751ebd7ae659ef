public import Logging

/// Limits and times of the HTTP server. The defaults suit a host behind no proxy.
public struct HTTPServerOptions: Sendable {
    /// Where to listen. One that the machine lacks (no IPv6) is left out with a warning as long as another is there.
    public var addresses: [ListenAddress] = [.tcp(host: "127.0.0.1", port: 3000), .tcp(host: "::1", port: 3000)]
    /// Whether Unix sockets are for the process's own user only (mode 0600).
    public var hasPrivateSockets = false
    /// The certificate for what listens on TCP; `nil` for plain HTTP.
    public var tls: TLSCertificates?
    /// How many connections the kernel holds until they are accepted.
    public var backlog = 512
    /// How many connections are served at once; the next gets 503 and is closed.
    public var maxConnectionCount = 10_000
    /// The longest request line; longer is 414.
    public var maxRequestLineBytes = 8192
    /// The largest request head, request line included; larger is 431.
    public var maxHeadBytes = 16_384
    /// The most header fields; more is 431.
    public var maxFieldCount = 100
    /// The time from a request's first byte to the end of its head; then 408.
    public var headTimeout = Duration.seconds(20)
    /// The longest pause within a body; then 408.
    public var bodyPauseTimeout = Duration.seconds(20)
    /// The time for a whole body; then 408.
    public var bodyTimeout = Duration.seconds(135)
    /// How long a connection may be without a request; then it is closed.
    public var idleTimeout = Duration.seconds(75)
    /// How long a client may take no byte of what is waiting for it; then the connection is closed.
    public var writePauseTimeout = Duration.seconds(30)
    /// How long input is discarded after a last answer, so that the client gets to read it.
    public var lingerTimeout = Duration.seconds(2)
    /// How long a handler goes on after the client has closed its side, in case it only half closed.
    public var abandonedGrace = Duration.milliseconds(500)
    /// How long nothing is sent on an event stream until a comment is, so that proxies and clients see that it lives.
    public var heartbeat = Duration.seconds(15)
    /// How long a client of an event stream waits before it comes back (`retry`).
    public var reconnectDelay = Duration.seconds(2)
    /// How long a socket's client is silent until it is pinged; it is dropped when as long again brings nothing.
    public var pingInterval = Duration.seconds(30)
    /// The time that requests in flight have at shutdown; then their tasks are cancelled.
    public var drainTimeout = Duration.seconds(30)
    /// The level of the access log, one line a request; `nil` for none.
    public var accessLogLevel: Logger.Level? = .info
    /// Which other origins may read the answers.
    public var cors = CORSPolicy()
    /// The peers whose `X-Forwarded-…` headers count.
    public var trustedProxies = TrustedProxies()

    /// Makes options with the defaults.
    public init() {}
}
