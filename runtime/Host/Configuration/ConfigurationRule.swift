internal import Downloads

/// What must hold between keys.
struct ConfigurationRule: Sendable {
    /// The keys, the one first that most likely is to be changed. With a problem of its own in one of them, the rule says
    /// nothing.
    let keys: [String]
    /// What is wrong, or `nil`.
    let problem: @Sendable (Configuration) -> String?

    static let all: [ConfigurationRule] = [
        ConfigurationRule(keys: ["http.tls.key", "http.tls.certificate"]) { configuration in
            switch (configuration.tlsCertificate, configuration.tlsKey) {
            case (nil, nil), (_?, _?): nil
            case (_?, nil): "http.tls.key is required beside http.tls.certificate"
            case (nil, _?): "http.tls.certificate is required beside http.tls.key"
            }
        },
        ConfigurationRule(keys: ["storage.secretAccessKey", "storage.accessKeyID"]) { configuration in
            switch (configuration.storage.accessKeyID, configuration.storage.secretAccessKey) {
            case (nil, nil), (_?, _?): nil
            case (_?, nil): "storage.secretAccessKey is required beside storage.accessKeyID"
            case (nil, _?): "storage.accessKeyID is required beside storage.secretAccessKey"
            }
        },
        ConfigurationRule(keys: ["identity.mode", "http.trustedProxies"]) { configuration in
            configuration.identity.mode == .header && configuration.http.trustedProxies.isEmpty
                ? "identity.mode \"header\" needs http.trustedProxies: whose word counts" : nil
        },
        ConfigurationRule(
            keys: ["identity.mode", "identity.jwt.secret", "identity.jwt.publicKey", "identity.jwt.jwks"]
        ) { configuration in
            configuration.identity.mode == .jwt && configuration.identity.keys == nil
                ? "identity.mode \"jwt\" needs exactly one of identity.jwt.secret, .publicKey and .jwks" : nil
        },
        ConfigurationRule(keys: ["downloads.recordRetention", "downloads.archiveLifetime"]) { configuration in
            let lifetime = configuration.downloads.archiveLifetime
            guard configuration.downloads.recordRetention < lifetime else { return nil }
            return
                "downloads.recordRetention must not be shorter than downloads.archiveLifetime, \(UnitText.text(lifetime))"
        },
    ]
}
