internal import Logging

extension ConfigurationKey {
    private static let short = Duration.milliseconds(50)...Duration.seconds(3600)
    private static let hour = Duration.zero...Duration.seconds(3600)

    static let http: [ConfigurationKey] = [
        ConfigurationKey("http.listen", .addresses, \.http.addresses, variables: [EnvironmentVariable.port]),
        ConfigurationKey("http.loops", .integer(1...256), \.loopCount),
        ConfigurationKey("http.backlog", .integer(1...65_535), \.http.backlog),
        ConfigurationKey("http.maxConnections", .integer(1...1_000_000), \.http.maxConnectionCount, .direct),
        ConfigurationKey("http.maxHeaderBytes", .size(1 << 10...1 << 20), \.http.maxHeadBytes, .direct),
        ConfigurationKey("http.maxHeaderFields", .integer(8...10_000), \.http.maxFieldCount, .direct),
        ConfigurationKey("http.headTimeout", .duration(short), \.http.headTimeout, .direct),
        ConfigurationKey("http.bodyTimeout", .duration(short), \.http.bodyTimeout, .direct),
        ConfigurationKey("http.bodyPauseTimeout", .duration(short), \.http.bodyPauseTimeout, .direct),
        ConfigurationKey("http.idleTimeout", .duration(short), \.http.idleTimeout, .direct),
        ConfigurationKey("http.writePauseTimeout", .duration(short), \.http.writePauseTimeout, .direct),
        ConfigurationKey("http.heartbeat", .duration(short), \.http.heartbeat, .direct),
        ConfigurationKey("http.reconnectDelay", .duration(hour), \.http.reconnectDelay, .direct),
        ConfigurationKey("http.pingInterval", .duration(short), \.http.pingInterval, .direct),
        ConfigurationKey("http.drainTimeout", .duration(hour), \.http.drainTimeout, .functions),
        ConfigurationKey("http.trustedProxies", .proxies, \.http.trustedProxies, .direct),
        ConfigurationKey("http.tls.certificate", .text(), \.tlsCertificate),
        ConfigurationKey("http.tls.key", .text(), \.tlsKey),
        ConfigurationKey("http.accessLog", .accessLog, \.http.accessLogLevel, .direct),
        ConfigurationKey("cors.origins", .origins, \.http.cors.origins, .direct),
        ConfigurationKey("cors.maxAge", .duration(.zero...(.seconds(86_400))), \.http.cors.maxAge, .direct),
    ]
}

extension ConfigurationForm where Value == [ListenAddress] {
    fileprivate static var addresses: Self {
        Self(
            .list, show: { .array($0.map { PositionedJSON(.string("\($0)")) }) },
            read: { object, name, _, reader in
                reader.value(object, name, "an array of addresses such as \"127.0.0.1:3000\"") { json in
                    let texts = json.elements?.map { $0.string.flatMap { ListenAddress($0) } } ?? [nil]
                    let addresses = texts.compactMap(\.self)
                    return addresses.count == texts.count && !addresses.isEmpty ? addresses : nil
                }
            })
    }
}

extension ConfigurationForm where Value == TrustedProxies {
    fileprivate static var proxies: Self {
        Self(
            .list, show: { .array($0.entries.map { PositionedJSON(.string($0)) }) },
            read: { object, name, _, reader in
                reader.value(object, name, "an array of addresses, networks or \"unix\"") { json in
                    let texts = json.elements?.compactMap(\.string)
                    return texts?.count == json.elements?.count ? texts.flatMap { TrustedProxies($0) } : nil
                }
            })
    }
}

extension ConfigurationForm where Value == CORSPolicy.Origins {
    fileprivate static var origins: Self {
        let show: Show = { origins in
            switch origins {
            case .none: .array([])
            case .any: .array([PositionedJSON(.string("*"))])
            case .list(let list): .array(list.sorted().map { PositionedJSON(.string($0)) })
            }
        }
        return Self(
            .list, show: show,
            read: { object, name, _, reader in
                guard let texts = reader.strings(object, name) else { return nil }
                guard texts != ["*"] else { return .any }
                guard !texts.contains("*") else {
                    reader.report(
                        object.json, object.path(of: name), "must be [\"*\"] alone or a list without \"*\"")
                    return nil
                }
                return texts.isEmpty ? CORSPolicy.Origins.none : .list(Set(texts))
            })
    }
}

extension ConfigurationForm where Value == Logger.Level? {
    fileprivate static var accessLog: Self {
        Self(
            .boolean, show: { .bool($0 != nil) },
            read: { object, name, _, reader in
                reader.bool(object, name).map { $0 ? Logger.Level.info : nil }
            })
    }
}
