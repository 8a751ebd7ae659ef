/// What a configuration that was read again changes in a process that runs.
public struct ConfigurationChange: Sendable {
    /// The configuration that holds from now on: the new one, but for what needs a restart.
    public private(set) var configuration: Configuration
    /// The keys whose new values hold from now on.
    public private(set) var applied: [String] = []
    /// The keys whose new values hold after a restart.
    public private(set) var needingRestart: [String] = []
    /// Whether functions must be called in another way, by new runners and triggers.
    public private(set) var concernsFunctions = false

    private enum Effect {
        /// Read whenever it is needed.
        case direct
        /// Handed to functions and triggers when they are set up.
        case functions
        case restart
    }

    private struct Key: Sendable {
        let name: String
        let effect: Effect
        let differs: @Sendable (Configuration, Configuration) -> Bool
        let copy: @Sendable (Configuration, inout Configuration) -> Void

        init<Value: Equatable & SendableMetatype>(
            _ name: String, _ effect: Effect, _ path: any WritableKeyPath<Configuration, Value> & Sendable
        ) {
            self.name = name
            self.effect = effect
            differs = { $0[keyPath: path] != $1[keyPath: path] }
            copy = { $1[keyPath: path] = $0[keyPath: path] }
        }
    }

    private static let keys: [Key] = [
        Key("http.listen", .restart, \.http.addresses),
        Key("http.loops", .restart, \.loopCount),
        Key("http.backlog", .restart, \.http.backlog),
        Key("http.maxConnections", .direct, \.http.maxConnectionCount),
        Key("http.maxHeaderBytes", .direct, \.http.maxHeadBytes),
        Key("http.maxHeaderFields", .direct, \.http.maxFieldCount),
        Key("http.headTimeout", .direct, \.http.headTimeout),
        Key("http.bodyTimeout", .direct, \.http.bodyTimeout),
        Key("http.bodyPauseTimeout", .direct, \.http.bodyPauseTimeout),
        Key("http.idleTimeout", .direct, \.http.idleTimeout),
        Key("http.writePauseTimeout", .direct, \.http.writePauseTimeout),
        Key("http.drainTimeout", .functions, \.http.drainTimeout),
        Key("http.heartbeat", .direct, \.http.heartbeat),
        Key("http.reconnectDelay", .direct, \.http.reconnectDelay),
        Key("http.pingInterval", .direct, \.http.pingInterval),
        Key("http.trustedProxies", .direct, \.http.trustedProxies),
        Key("http.accessLog", .direct, \.http.accessLogLevel),
        Key("cors", .direct, \.http.cors),
        Key("redis", .restart, \.redis),
        Key("storage", .restart, \.storage),
        Key("history", .restart, \.history),
        Key("queue.prefix", .restart, \.queue.prefix),
        Key("queue.lockDuration", .functions, \.queue.lockDuration),
        Key("queue.stalledCheck", .functions, \.queue.stalledCheck),
        Key("queue.stalledGate", .functions, \.queue.stalledGate),
        Key("queue.maxStalledCount", .functions, \.queue.maxStalledCount),
        Key("queue.scheduleCheck", .functions, \.queue.scheduleCheck),
        Key("log.level", .direct, \.log.level),
        Key("log.format", .restart, \.log.format),
        Key("downloads", .functions, \.downloads),
        Key("admin", .restart, \.admin),
        Key("identity", .restart, \.identity),
        Key("limits", .restart, \.limits),
        Key("openapi", .restart, \.openAPI),
        Key("http.tls", .restart, \.tls),
    ]

    /// Compares.
    ///
    /// - Parameters:
    ///   - old: The configuration that holds.
    ///   - new: The one that was read.
    public init(from old: Configuration, to new: Configuration) {
        configuration = new
        for key in ConfigurationChange.keys where key.differs(old, new) {
            switch key.effect {
            case .direct: applied.append(key.name)
            case .functions:
                applied.append(key.name)
                concernsFunctions = true
            case .restart:
                needingRestart.append(key.name)
                key.copy(old, &configuration)
            }
        }
    }
}
