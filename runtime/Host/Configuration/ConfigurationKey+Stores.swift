internal import RedisClient

extension ConfigurationKey {
    private static let second = Duration.seconds(1)
    private static let lockTimes = Duration.milliseconds(100)...(second * 3600)

    static let stores: [ConfigurationKey] = [
        ConfigurationKey("redis.url", .redisURL, \.redis.url, variables: ["REDIS_URL"]),
        ConfigurationKey("redis.commandTimeout", .duration(.milliseconds(50)...(second * 60)), \.redis.commandTimeout),
        ConfigurationKey("redis.server", .text(), \.redis.server),
        ConfigurationKey("storage.endpoint", .endpoint, \.storage.endpoint, variables: ["S3_ENDPOINT"]),
        ConfigurationKey(
            "storage.publicEndpoint", .endpoint, \.storage.publicEndpoint, variables: ["S3_PUBLIC_ENDPOINT"]),
        ConfigurationKey("storage.region", .text(), \.storage.region, variables: ["S3_REGION"]),
        ConfigurationKey("storage.bucket", .bucket, \.storage.bucket, variables: ["S3_BUCKET_NAME"]),
        ConfigurationKey("storage.addressing", .choice, \.storage.addressing),
        ConfigurationKey(
            "storage.accessKeyID", .text(), \.storage.accessKeyID, variables: ["S3_ACCESS_KEY_ID"]),
        ConfigurationKey(
            "storage.secretAccessKey", .secret(leastBytes: 1), \.storage.secretAccessKey,
            variables: ["S3_SECRET_ACCESS_KEY"]),
        ConfigurationKey("storage.sessionToken", .secret(leastBytes: 1), \.storage.sessionToken),
        ConfigurationKey("storage.timeout", .duration(.milliseconds(100)...(second * 3600)), \.storage.timeout),
        ConfigurationKey("storage.attempts", .integer(1...20), \.storage.attempts),
        ConfigurationKey("storage.retryDelay", .duration(.milliseconds(1)...(second * 60)), \.storage.retryDelay),
        ConfigurationKey(
            "storage.retryMaxDelay", .duration(.milliseconds(1)...(second * 600)), \.storage.retryMaxDelay),
        ConfigurationKey("storage.port", .integer(0...65_535), \.storage.port),
        ConfigurationKey("history.path", .text(), \.history.path),
        ConfigurationKey("history.url", .postgreSQLURL, \.history.url, variables: ["DATABASE_URL"]),
        ConfigurationKey("history.connections", .integer(1...64), \.history.connectionCount),
        ConfigurationKey("history.timeout", .duration(.milliseconds(100)...(second * 60)), \.history.timeout),
        ConfigurationKey("queue.prefix", .queuePrefix, \.queue.prefix),
        ConfigurationKey("queue.lockDuration", .duration(lockTimes), \.queue.lockDuration, .functions),
        ConfigurationKey("queue.stalledCheck", .duration(lockTimes), \.queue.stalledCheck, .functions),
        ConfigurationKey("queue.stalledGate", .duration(lockTimes), \.queue.stalledGate, .functions),
        ConfigurationKey("queue.maxStalledCount", .integer(0...1000), \.queue.maxStalledCount, .functions),
        ConfigurationKey("queue.maxRunningPerUser", .integer(0...10_000), \.queue.maxRunningPerUser, .functions),
        ConfigurationKey(
            "queue.scheduleCheck", .duration(.milliseconds(100)...(second * 60)), \.queue.scheduleCheck, .functions),
    ]
}

extension ConfigurationForm where Value == Secret {
    fileprivate static var redisURL: Self { secret(problem: redisProblem) }

    private static func redisProblem(_ url: String) -> String? {
        do {
            _ = try RedisConfiguration(url: url)
            return nil
        } catch {
            return "must be a URL that begins with redis://, rediss:// or unix: (\(error.message))"
        }
    }

    /// What stands before the first raw `/` or `?` is user, password and host; an `@` behind it, or a second one, shows a
    /// password that is not encoded, and libpq would take a part of it for the host's name.
    fileprivate static var postgreSQLURL: Self {
        secret { url in
            if let scheme = ["postgresql://", "postgres://"].first(where: url.hasPrefix) {
                let rest = url.dropFirst(scheme.count)
                let authority = rest.prefix { $0 != "/" && $0 != "?" }
                let count = rest.count { $0 == "@" }
                if count <= 1, count == authority.count(where: { $0 == "@" }) { return nil }
            }
            return
                "must be a URL that begins with postgresql:// or postgres://, in whose user and password \"@\", \"/\" "
                + "and \"?\" are percent-encoded"
        }
    }
}

extension ConfigurationForm where Value == String {
    fileprivate static var bucket: Self {
        text("a bucket's name, 3 to 63 of a-z, 0-9, \".\" and \"-\"") { text in
            let isPlain = text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"),
                    UInt8(ascii: "."):
                    true
                default: false
                }
            }
            let begins = !text.hasPrefix("-") && !text.hasPrefix(".")
            return isPlain && begins && (3...63).contains(text.utf8.count) ? text : nil
        }
    }

    fileprivate static var queuePrefix: Self {
        text("a text that is not empty and holds no colon") { $0.isEmpty || $0.contains(":") ? nil : $0 }
    }
}
